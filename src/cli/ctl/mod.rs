//! `burdock ctl`: reads and changes a running Burdock by its API. One file per group of commands; what they have in common is
//! here, in `client` (how the process is asked) and in `text` (how answers are laid out).

mod changes;
mod client;
mod completions;
mod configuration;
mod drain;
mod explain;
mod metrics;
mod sessions;
mod show;
mod text;
mod top;

use std::io::Write;
use std::str::FromStr;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use client::{AskError, Client, Where};

use super::Ended;

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

/// A server, as it is named on the command line: UPSTREAM/SERVER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerArg {
    upstream: String,
    server: String,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    People,
    Json,
}

/// What a command needs to do its work.
struct Desk {
    client: Client,
    form: Form,
}

pub fn ctl(args: &CtlArgs) -> Ended {
    if let Command::Completions(args) = &args.command {
        return completions::completions(args);
    }
    let form = if args.json { Form::Json } else { Form::People };
    let done = Client::new(&args.at).and_then(|client| run(&Desk { client, form }, &args.command));
    done.unwrap_or_else(|error| error.told())
}

fn run(desk: &Desk, command: &Command) -> Result<Ended, AskError> {
    match command {
        Command::Status => show::status(desk),
        Command::Upstreams => show::upstreams(desk),
        Command::Servers { upstream } => show::servers(desk, upstream.as_deref()),
        Command::Drains => show::drains(desk),
        Command::Version => show::version(desk),
        Command::Ready(which) => changes::ready(desk, which),
        Command::Maint(which) => changes::maint(desk, which),
        Command::Weight(args) => changes::weight(desk, args),
        Command::MaxConns(args) => changes::max_conns(desk, args),
        Command::Add(args) => changes::add(desk, args),
        Command::Remove(args) => changes::remove(desk, args),
        Command::Drain(args) => drain::drain(desk, args),
        Command::Sessions(command) => sessions::sessions(desk, command),
        Command::Explain(args) => explain::explain(desk, args),
        Command::Reload(args) => configuration::reload(desk, args),
        Command::Diff => configuration::diff(desk),
        Command::Reset(args) => configuration::reset(desk, args),
        Command::Config => configuration::config(desk),
        Command::Top(args) => top::top(desk, args),
        Command::Completions(args) => Ok(completions::completions(args)),
    }
}

impl Desk {
    /// Prints an answer: as it came, or as `people` have it.
    fn print<T: DeserializeOwned>(&self, answer: Value, people: impl FnOnce(T) -> String) -> Result<Ended, AskError> {
        match self.form {
            Form::Json => say(&format!("{answer:#}\n")),
            Form::People => say(&people(read(answer)?)),
        }
        Ok(Ended::Well)
    }
}

/// An answer in its type.
fn read<T: DeserializeOwned>(answer: Value) -> Result<T, AskError> {
    serde_json::from_value(answer).map_err(|error| AskError::Unclear(error.to_string()))
}

/// To stdout. Whoever reads it may have seen enough (`| head`).
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

impl ServerArg {
    fn path(&self) -> String {
        crate::api::path(&["upstreams", &self.upstream, "servers", &self.server])
    }
}

impl FromStr for ServerArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((upstream, server)) if !upstream.is_empty() && !server.is_empty() => {
                Ok(Self { upstream: upstream.to_owned(), server: server.to_owned() })
            }
            Some(_) | None => Err("a server is named UPSTREAM/SERVER, as in shop/shop-1"),
        }
    }
}

impl std::fmt::Display for ServerArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.upstream, self.server)
    }
}
