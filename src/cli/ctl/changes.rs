//! Runtime overrides: `ready`, `maint`, `weight`, `max-conns`, `add`, `remove`.

use ::http::Method;
use clap::Args;
use serde_json::Value;

use super::client::AskError;
use super::console::Console;
use super::each::for_each;
use super::server_arg::ServerArg;
use super::text::or_dash;
use crate::api;
use crate::api::server::{Changed, MaxConns, NewServer, ServerPatch, Unlimited, WantedState};
use crate::cli::outcome::Outcome;

/// Shown below the help of commands that take several servers.
pub const SEVERAL: &str = "\
In a pattern, * stands for any characters and ? for one; quote it, or the shell reads it.
If a pattern matches no server, nothing changes. Each change is reported on its own line.";

#[derive(Debug, Args)]
#[command(after_help = SEVERAL)]
pub struct ServersArgs {
    /// UPSTREAM/SERVER: one or several, or patterns such as 'shop/blue-*'
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<ServerArg>,
}

#[derive(Debug, Args)]
#[command(after_help = SEVERAL)]
pub struct WeightArgs {
    /// UPSTREAM/SERVER: one or several, or patterns such as 'shop/blue-*'
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<ServerArg>,
    /// 0 to 256; with 0 the server keeps its sessions and gets no new ones; `reset` for the file's value
    #[arg(required = true, value_parser = weight_wanted)]
    weight: Wanted<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = SEVERAL)]
pub struct MaxConnsArgs {
    /// UPSTREAM/SERVER: one or several, or patterns such as 'shop/blue-*'
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<ServerArg>,
    /// A number, `none` for unlimited, or `reset` for the file's value
    #[arg(required = true, value_parser = limit_wanted)]
    max: Wanted<MaxConns>,
}

/// Adds a server; it survives reloads and restarts until it is removed
#[derive(Debug, Args)]
pub struct AddArgs {
    upstream: String,
    /// 10.0.0.10:8080, [fd00::10]:8080 or unix:/run/app.sock, for example
    address: String,
    /// The server's id, which its sessions are tied to [default: the address]
    #[arg(long)]
    id: Option<String>,
    /// The server's name in plain tokens and in routes [default: the id]
    #[arg(long)]
    route: Option<String>,
    /// The server's share of new sessions, 0 to 256 [default: 1]
    #[arg(long)]
    weight: Option<u16>,
    /// Limit of requests in flight
    #[arg(long, value_parser = limit)]
    max_conns: Option<MaxConns>,
    /// Take new sessions only if no primary server can
    #[arg(long)]
    backup: bool,
    /// Add the server in maintenance
    #[arg(long)]
    maint: bool,
}

/// Removes a server; by default it keeps its sessions until they end
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// UPSTREAM/SERVER
    server: ServerArg,
    /// Remove it at once, even if it has sessions
    #[arg(long)]
    now: bool,
}

/// A new value, or a reset to the file's value.
#[derive(Clone, Copy, Debug)]
enum Wanted<T> {
    Reset,
    Value(T),
}

impl<T> Wanted<T> {
    fn field(self) -> Option<Option<T>> {
        match self {
            Self::Reset => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

pub fn ready(console: &Console, args: &ServersArgs) -> Result<Outcome, AskError> {
    state(console, args, WantedState::Ready)
}

pub fn maint(console: &Console, args: &ServersArgs) -> Result<Outcome, AskError> {
    state(console, args, WantedState::Maint)
}

fn state(console: &Console, args: &ServersArgs, wanted: WantedState) -> Result<Outcome, AskError> {
    patch(console, &args.servers, &ServerPatch { state: Some(Some(wanted)), ..ServerPatch::default() })
}

pub fn weight(console: &Console, args: &WeightArgs) -> Result<Outcome, AskError> {
    patch(console, &args.servers, &ServerPatch { weight: args.weight.field(), ..ServerPatch::default() })
}

pub fn max_conns(console: &Console, args: &MaxConnsArgs) -> Result<Outcome, AskError> {
    patch(console, &args.servers, &ServerPatch { max_conns: args.max.field(), ..ServerPatch::default() })
}

fn patch(console: &Console, servers: &[ServerArg], wanted: &ServerPatch) -> Result<Outcome, AskError> {
    for_each(console, servers, |server| {
        let answer = console.client.send(Method::PATCH, &server.path(), wanted)?;
        print_change(console, server, answer)
    })
}

pub fn add(console: &Console, args: &AddArgs) -> Result<Outcome, AskError> {
    let new = NewServer {
        address: args.address.clone(),
        id: args.id.clone(),
        route: args.route.clone(),
        backup: args.backup,
        state: args.maint.then_some(WantedState::Maint),
        weight: args.weight,
        max_conns: args.max_conns,
    };
    let answer = console.client.send(Method::POST, &api::path(&["upstreams", &args.upstream, "servers"]), &new)?;
    let server = args.id.clone().unwrap_or_else(|| args.address.clone());
    print_change(console, &ServerArg { upstream: args.upstream.clone(), server }, answer)
}

pub fn remove(console: &Console, args: &RemoveArgs) -> Result<Outcome, AskError> {
    let how = if args.now { "?now=true" } else { "" };
    let answer = console.client.delete(&format!("{}{how}", args.server.path()))?;
    print_change(console, &args.server, answer)
}

fn print_change(console: &Console, name: &ServerArg, answer: Value) -> Result<Outcome, AskError> {
    console.print(answer, |Changed { server, warning }| {
        let line = match server {
            None => format!("removed {name}\n"),
            Some(server) => format!(
                "{name}: {}, {}, weight {}, max_conns {}\n",
                server.state.as_str(),
                server.health.as_str(),
                server.weight,
                or_dash(server.max_conns)
            ),
        };
        warning.into_iter().fold(line, |text, warning| format!("{text}warning: {warning}\n"))
    })
}

fn weight_wanted(text: &str) -> Result<Wanted<u16>, String> {
    let number = || text.parse().ok().filter(|&weight: &u16| weight <= 256);
    match text {
        "reset" => Ok(Wanted::Reset),
        _ => number().map(Wanted::Value).ok_or_else(|| "expected 0 to 256, or reset".to_owned()),
    }
}

fn limit_wanted(text: &str) -> Result<Wanted<MaxConns>, String> {
    if text == "reset" { Ok(Wanted::Reset) } else { limit(text).map(Wanted::Value) }
}

fn limit(text: &str) -> Result<MaxConns, String> {
    match text {
        "none" => Ok(MaxConns::Without(Unlimited::None)),
        _ => text.parse().map(MaxConns::Limit).map_err(|_| "expected a number from 1, or none".to_owned()),
    }
}
