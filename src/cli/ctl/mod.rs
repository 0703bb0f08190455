//! `burdock ctl`: reads and changes a running Burdock through its API. One file per group of commands; they share `client` (the API
//! client), `console` (output) and `text` (layout).

mod changes;
mod client;
mod completions;
mod configuration;
mod console;
mod drain;
mod each;
mod explain;
mod metrics;
mod server_arg;
mod sessions;
mod show;
mod text;
mod top;

use clap::{Args, Subcommand};

use super::groups::Group;
use super::outcome::Outcome;
use console::{Console, Form};

pub use client::{AskError, Client, Target};

/// Inspects and changes a running Burdock
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock ctl status                          show the process and its upstreams
  burdock ctl servers shop                    show the servers of an upstream
  burdock ctl drain shop/shop-1 --wait        drain a server and wait until its last session has ended
  burdock ctl ready shop/shop-1               end the drain
  burdock ctl drain 'shop/blue-*'             drain all servers whose ids begin with blue-
  burdock ctl reload --dry-run                show what a reload would change and how many sessions it would move
  burdock ctl top                             live view of upstreams and servers")]
pub struct CtlArgs {
    #[command(flatten)]
    at: Target,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the process, its upstreams, and servers that are down or draining
    Status,
    /// Lists upstreams
    Upstreams,
    /// Lists the servers of an upstream, or of all
    Servers {
        upstream: Option<String>,
    },
    /// Sets servers ready: they serve as usual
    Ready(changes::ServersArgs),
    Drain(drain::DrainArgs),
    /// Sets servers to maintenance: they get no requests and no health checks
    Maint(changes::ServersArgs),
    /// Sets the servers' share of new sessions: 0 to 256, or `reset`
    Weight(changes::WeightArgs),
    /// Sets the servers' limit of requests in flight: a number, `none`, or `reset`
    MaxConns(changes::MaxConnsArgs),
    Add(changes::AddArgs),
    Remove(changes::RemoveArgs),
    /// Lists servers that are draining or leaving
    Drains,
    /// Inspects session tables and their sessions
    #[command(subcommand)]
    Sessions(sessions::SessionsCommand),
    Explain(explain::ExplainArgs),
    Reload(configuration::ReloadArgs),
    /// Shows runtime overrides, compared with the file
    Diff,
    Reset(configuration::ResetArgs),
    /// Prints the current configuration
    Config,
    /// Shows the version of the running process
    Version,
    Top(top::TopArgs),
    Completions(completions::CompletionsArgs),
}

/// The commands by what they are for.
pub const GROUPS: [Group; 4] = [
    ("Look", &["status", "upstreams", "servers", "drains", "top", "version", "explain"]),
    ("Change servers", &["ready", "drain", "maint", "weight", "max-conns", "add", "remove"]),
    ("Configuration", &["reload", "diff", "reset", "config"]),
    ("More", &["sessions", "completions"]),
];

/// Runs a command. `command_line` is that of the whole program, for completions.
pub fn ctl(args: &CtlArgs, command_line: fn() -> clap::Command) -> Outcome {
    if let Command::Completions(args) = &args.command {
        return completions::completions(args, command_line());
    }
    let form = if args.json { Form::Json } else { Form::Text };
    let mut client = Client::new(&args.at);
    if let Command::Top(_) = &args.command {
        client = client.map(|client| client.with_timeout(top::TIMEOUT));
    }
    let done = client.and_then(|client| run(&Console { client, form }, &args.command, command_line));
    done.unwrap_or_else(|error| error.report())
}

fn run(console: &Console, command: &Command, command_line: fn() -> clap::Command) -> Result<Outcome, AskError> {
    match command {
        Command::Status => show::status(console),
        Command::Upstreams => show::upstreams(console),
        Command::Servers { upstream } => show::servers(console, upstream.as_deref()),
        Command::Drains => show::drains(console),
        Command::Version => show::version(console),
        Command::Ready(args) => changes::ready(console, args),
        Command::Maint(args) => changes::maint(console, args),
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
