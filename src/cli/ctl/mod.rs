//! `burdock ctl`: reads and changes a running Burdock by its API. One file per group of commands; what they have in common is in
//! `client` (how the process is asked), `console` (where answers go) and `text` (how answers are laid out).

mod changes;
mod client;
mod completions;
mod configuration;
mod console;
mod drain;
mod explain;
mod metrics;
mod server_arg;
mod sessions;
mod show;
mod text;
mod top;

use clap::{Args, Subcommand};

use super::ended::Ended;
use console::{Console, Form};

pub use client::{AskError, Client, Where};

/// Reads and changes a running Burdock
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock ctl status                          what is going on
  burdock ctl servers shop                    the servers of an upstream
  burdock ctl drain shop/shop-1 --wait        no new sessions there, and wait until the last has gone
  burdock ctl ready shop/shop-1               take it back
  burdock ctl reload --dry-run                what the file would change, and how many sessions it would move
  burdock ctl top                             all of it, refreshing")]
pub struct CtlArgs {
    #[command(flatten)]
    at: Where,
    /// Answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The process, its upstreams and what is out of the ordinary
    Status,
    /// All upstreams
    Upstreams,
    /// The servers of an upstream, or of all
    Servers {
        upstream: Option<String>,
    },
    /// The server serves as usual
    Ready(changes::Which),
    Drain(drain::DrainArgs),
    /// The server gets nothing and is not checked; its sessions are without it
    Maint(changes::Which),
    /// The server's share of new sessions, 0 to 256, or `reset`
    Weight(changes::WeightArgs),
    /// How many requests the server may have in flight: a number, `none`, or `reset`
    MaxConns(changes::MaxConnsArgs),
    Add(changes::AddArgs),
    Remove(changes::RemoveArgs),
    /// Servers that are on their way out
    Drains,
    /// Session tables and the sessions in them
    #[command(subcommand)]
    Sessions(sessions::SessionsCommand),
    Explain(explain::ExplainArgs),
    Reload(configuration::ReloadArgs),
    /// What has been changed at run time, compared with the file
    Diff,
    Reset(configuration::ResetArgs),
    /// The configuration in force
    Config,
    /// Which Burdock is running
    Version,
    Top(top::TopArgs),
    Completions(completions::CompletionsArgs),
}

/// `command_line` is that of the whole program, for which there may be completions.
pub fn ctl(args: &CtlArgs, command_line: fn() -> clap::Command) -> Ended {
    if let Command::Completions(args) = &args.command {
        return completions::completions(args, command_line());
    }
    let form = if args.json { Form::Json } else { Form::People };
    let client = Client::new(&args.at);
    let done = client.and_then(|client| run(&Console { client, form }, &args.command, command_line));
    done.unwrap_or_else(|error| error.report())
}

fn run(console: &Console, command: &Command, command_line: fn() -> clap::Command) -> Result<Ended, AskError> {
    match command {
        Command::Status => show::status(console),
        Command::Upstreams => show::upstreams(console),
        Command::Servers { upstream } => show::servers(console, upstream.as_deref()),
        Command::Drains => show::drains(console),
        Command::Version => show::version(console),
        Command::Ready(which) => changes::ready(console, which),
        Command::Maint(which) => changes::maint(console, which),
        Command::Weight(args) => changes::weight(console, args),
        Command::MaxConns(args) => changes::max_conns(console, args),
        Command::Add(args) => changes::add(console, args),
        Command::Remove(args) => changes::remove(console, args),
        Command::Drain(args) => drain::drain(console, args),
        Command::Sessions(command) => sessions::sessions(console, command),
        Command::Explain(args) => explain::explain(console, args),
        Command::Reload(args) => configuration::reload(console, args),
        Command::Diff => configuration::diff(console),
        Command::Reset(args) => configuration::reset(console, args),
        Command::Config => configuration::config(console),
        Command::Top(args) => top::top(console, args),
        Command::Completions(args) => Ok(completions::completions(args, command_line())),
    }
}
