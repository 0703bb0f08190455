//! The configuration: `reload`, `diff`, `reset`, `config`.

use ::http::Method;
use clap::Args;

use super::client::AskError;
use super::console::Console;
use super::server_arg::ServerArg;
use crate::api;
use crate::api::config::{ConfigInfo, Diff, DifferenceInfo, Moves, Reload, Reloaded, Reset, ResetDone, ServerName};
use crate::cli::ended::Ended;

/// Reads the configuration file again and takes up what it says, whole or not at all
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Only say what would happen, and how many live sessions it would move
    #[arg(long)]
    dry_run: bool,
    /// Take up the rest where something needs another process
    #[arg(long)]
    partial: bool,
}

/// Drops what has been changed at run time: of one server, or everything
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// UPSTREAM/SERVER
    #[arg(required_unless_present = "all")]
    server: Option<ServerArg>,
    /// Everything
    #[arg(long, conflicts_with = "server")]
    all: bool,
}

pub fn reload(console: &Console, args: &ReloadArgs) -> Result<Ended, AskError> {
    let how = Reload { dry_run: args.dry_run, partial: args.partial };
    let answer = console.client.send(Method::POST, &api::path(&["reload"]), &how)?;
    console.print(answer, |report: Reloaded| {
        let mut lines = differences(&report.differences);
        lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(report.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.extend(
            report.needs_upgrade.iter().map(|section| format!("needs another process: {section} (burdock upgrade)")),
        );
        lines.push(match (report.applied, report.differences.len()) {
            (true, 0) => "taken up: nothing is otherwise".to_owned(),
            (true, many) => format!("taken up; differences: {many}"),
            (false, _) => format!("nothing is changed; it would move {}", moved(report.moves)),
        });
        lines.join("\n") + "\n"
    })
}

pub fn diff(console: &Console) -> Result<Ended, AskError> {
    console.print(console.client.get(&api::path(&["diff"]))?, |diff: Diff| match differences(&diff.differences) {
        lines if lines.is_empty() => "nothing is changed: all is as the file has it\n".to_owned(),
        lines => lines.join("\n") + "\n",
    })
}

pub fn reset(console: &Console, args: &ResetArgs) -> Result<Ended, AskError> {
    let name = |server: &ServerArg| ServerName { upstream: server.upstream.clone(), server: server.server.clone() };
    let wanted = Reset { of: args.server.as_ref().map(name) };
    let answer = console.client.send(Method::POST, &api::path(&["reset"]), &wanted)?;
    console.print(answer, |done: ResetDone| {
        let line = format!("as the file has them again: {} servers\n", done.dropped);
        done.warning.into_iter().fold(line, |text, warning| format!("{text}warning: {warning}\n"))
    })
}

pub fn config(console: &Console) -> Result<Ended, AskError> {
    console.print(console.client.get(&api::path(&["config"]))?, |config: ConfigInfo| {
        let changed = config.changes.as_object().is_some_and(|changes| !changes.is_empty());
        let changes = if changed { format!("# Changed at run time:\n# {}\n", config.changes) } else { String::new() };
        format!("# {}, as it was read last\n{changes}{}", config.file, config.text)
    })
}

fn differences(all: &[DifferenceInfo]) -> Vec<String> {
    all.iter().map(|difference| difference.text.clone()).collect()
}

fn moved(moves: Moves) -> String {
    let Moves { learned, by_token, hashed_permille } = moves;
    let hashed = match hashed_permille {
        0 => String::new(),
        many => format!(" and {}.{} % of the names that are hashed", many / 10, many % 10),
    };
    match (learned, by_token) {
        (0, 0) if hashed_permille == 0 => "no session".to_owned(),
        (learned, 0) => format!("{learned} sessions{hashed}"),
        (learned, by_token) => format!("about {} sessions{hashed}", learned + by_token),
    }
}
