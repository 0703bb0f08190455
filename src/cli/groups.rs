//! Groups of commands in help texts. clap lists all commands under one heading, which is hard to read with twenty of them.

use clap::Command;

/// A heading and the commands under it.
pub type Group = (&'static str, &'static [&'static str]);

/// The command with its subcommands in groups. Commands without a group come last.
pub fn grouped(command: Command, groups: &[Group]) -> Command {
    let width = command.get_subcommands().map(|sub| sub.get_name().len()).max().unwrap_or(0);
    let line = |sub: &Command| {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:width$}  {about}\n", sub.get_name())
    };
    let mut lists = String::new();
    for (heading, names) in groups {
        let listed = names.iter().filter_map(|name| command.find_subcommand(name));
        lists.push_str(&format!("{heading}:\n{}\n", listed.map(line).collect::<String>()));
    }
    let is_listed = |sub: &&Command| groups.iter().any(|(_, names)| names.contains(&sub.get_name()));
    let others: String = command.get_subcommands().filter(|sub| !sub.is_hide_set() && !is_listed(sub)).map(line).collect();
    if !others.is_empty() {
        lists.push_str(&format!("Other commands:\n{others}\n"));
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{lists}Options:\n{{options}}{{after-help}}"
    ))
}
