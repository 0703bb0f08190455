//! The configuration: `reload`, `diff`, `reset`, `config`.

use ::http::Method;
use clap::Args;

use super::client::AskError;
use super::console::Console;
use super::server_arg::ServerArg;
use crate::api;
use crate::api::config::{ConfigInfo, Diff, DifferenceInfo, Moves, Reload, Reloaded, Reset, ResetDone, ServerName};
use crate::cli::outcome::Outcome;

/// Reloads the configuration file: applies all of it, or nothing
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Only report what would change, and how many live sessions would move
    #[arg(long)]
    dry_run: bool,
    /// Apply the rest if some sections need a new process
    #[arg(long)]
    partial: bool,
}

/// Drops runtime overrides: those of one server, or all
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// UPSTREAM/SERVER
    #[arg(required_unless_present = "all")]
    server: Option<ServerArg>,
    /// All overrides
    #[arg(long, conflicts_with = "server")]
    all: bool,
}

pub fn reload(console: &Console, args: &ReloadArgs) -> Result<Outcome, AskError> {
    let options = Reload { dry_run: args.dry_run, partial: args.partial };
    let answer = console.client.send(Method::POST, &api::path(&["reload"]), &options)?;
    console.print(answer, |report: Reloaded| {
        let mut lines = differences(&report.differences);
        lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(report.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.extend(report.needs_upgrade.iter().map(|section| format!("needs a new process: {section} (burdock upgrade)")));
        lines.push(match (report.applied, report.differences.len()) {
            (true, 0) if report.notes.is_empty() => "reloaded: no changes".to_owned(),
            (true, 0) => "reloaded; only keys or secrets changed".to_owned(),
            (true, count) => format!("reloaded; differences: {count}"),
            (false, _) => format!("nothing changed; the reload would move {}", moved(report.moves)),
        });
        lines.join("\n") + "\n"
    })
}

pub fn diff(console: &Console) -> Result<Outcome, AskError> {
    console.print(console.client.get(&api::path(&["diff"]))?, |diff: Diff| match differences(&diff.differences) {
        lines if lines.is_empty() => "no runtime overrides\n".to_owned(),
        lines => lines.join("\n") + "\n",
    })
}

pub fn reset(console: &Console, args: &ResetArgs) -> Result<Outcome, AskError> {
    let name = |server: &ServerArg| ServerName { upstream: server.upstream.clone(), server: server.server.clone() };
    let wanted = Reset { of: args.server.as_ref().map(name) };
    let answer = console.client.send(Method::POST, &api::path(&["reset"]), &wanted)?;
    console.print(answer, |done: ResetDone| {
        let noun = if done.dropped == 1 { "server" } else { "servers" };
        let line = format!("reset {} {noun}\n", done.dropped);
        done.warning.into_iter().fold(line, |text, warning| format!("{text}warning: {warning}\n"))
    })
}

pub fn config(console: &Console) -> Result<Outcome, AskError> {
    console.print(console.client.get(&api::path(&["config"]))?, |config: ConfigInfo| {
        let changed = config.changes.as_object().is_some_and(|changes| !changes.is_empty());
        let changes = if changed { format!("# Runtime overrides:\n# {}\n", config.changes) } else { String::new() };
        format!("# {}, as last read\n{changes}{}", config.file, config.text)
    })
}

fn differences(all: &[DifferenceInfo]) -> Vec<String> {
    all.iter().map(|difference| difference.text.clone()).collect()
}

fn moved(moves: Moves) -> String {
    let Moves { learned, by_token, hashed_permille } = moves;
    let hashed = match hashed_permille {
        0 => String::new(),
        permille => format!(" and {}.{} % of hashed names", permille / 10, permille % 10),
    };
    match (learned, by_token) {
        (0, 0) if hashed_permille == 0 => "no sessions".to_owned(),
        (learned, 0) => format!("{learned} sessions{hashed}"),
        (learned, by_token) => format!("about {} sessions{hashed}", learned + by_token),
    }
}
