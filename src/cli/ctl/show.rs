//! `status`, `upstreams`, `servers`, `drains`, `version`.

use serde_json::json;

use super::client::AskError;
use super::console::{Console, Form, print_out, read};
use super::text::{Columns, or_dash, sessions, sessions_left, span};
use crate::api;
use crate::api::drain::{DrainList, DrainStatus, Stage};
use crate::api::process::Version;
use crate::api::server::{AnswerInfo, ServerHealth, ServerInfo, ServerList, ServerState, Source};
use crate::api::upstream::{UpstreamInfo, UpstreamList};
use crate::cli::outcome::Outcome;

pub fn version(console: &Console) -> Result<Outcome, AskError> {
    console.print(console.client.get(&api::path(&["version"]))?, |version: Version| {
        format!("burdock {}, process {}, up for {}\n", version.version, version.pid, span(version.uptime))
    })
}

/// Prints the process in a line, the upstreams in a table, and below them servers that need attention.
pub fn status(console: &Console) -> Result<Outcome, AskError> {
    let version = console.client.get(&api::path(&["version"]))?;
    let upstreams = console.client.get(&api::path(&["upstreams"]))?;
    let drains = console.client.get(&api::path(&["drains"]))?;
    if console.form == Form::Json {
        print_out(&format!(
            "{:#}\n",
            json!({"version": version, "upstreams": upstreams["upstreams"], "drains": drains["drains"]})
        ));
        return Ok(Outcome::Success);
    }
    let (version, upstreams): (Version, UpstreamList) = (read(version)?, read(upstreams)?);
    let all = fetch(console, upstreams.upstreams.iter().map(|upstream| &*upstream.name))?;
    let drains: DrainList = read(drains)?;
    let Version { version, pid, uptime, readiness, connections } = version;
    print_out(&format!(
        "burdock {version}, process {pid}, up for {}, {}, {connections} client connections\n\n{}{}",
        span(uptime),
        readiness.as_str(),
        upstream_table(&upstreams.upstreams),
        remarks(&all, &drains.drains)
    ));
    Ok(Outcome::Success)
}

pub fn upstreams(console: &Console) -> Result<Outcome, AskError> {
    console.print(console.client.get(&api::path(&["upstreams"]))?, |list: UpstreamList| upstream_table(&list.upstreams))
}

pub fn servers(console: &Console, upstream: Option<&str>) -> Result<Outcome, AskError> {
    let names = match upstream {
        Some(name) => vec![name.to_owned()],
        None => {
            let list: UpstreamList = read(console.client.get(&api::path(&["upstreams"]))?)?;
            list.upstreams.into_iter().map(|upstream| upstream.name).collect()
        }
    };
    let servers = fetch(console, names.iter().map(|name| &**name))?;
    match console.form {
        Form::Json => print_out(&format!("{:#}\n", json!({"servers": servers}))),
        Form::Text => print_out(&server_table(&servers)),
    }
    Ok(Outcome::Success)
}

pub fn drains(console: &Console) -> Result<Outcome, AskError> {
    console.print(console.client.get(&api::path(&["drains"]))?, |list: DrainList| match &*list.drains {
        [] => "no server is draining\n".to_owned(),
        drains => drains.iter().map(|status| format!("{}\n", drain_line(status))).collect(),
    })
}

/// The servers of these upstreams.
pub fn fetch<'n>(console: &Console, names: impl Iterator<Item = &'n str>) -> Result<Vec<ServerInfo>, AskError> {
    let mut servers = Vec::new();
    for name in names {
        let list: ServerList = read(console.client.get(&api::path(&["upstreams", name, "servers"]))?)?;
        servers.extend(list.servers);
    }
    Ok(servers)
}

fn upstream_table(upstreams: &[UpstreamInfo]) -> String {
    let mut columns = Columns::new(&["upstream", "servers", "taking new", "in flight", "sessions", "balance", "sticky"]);
    for upstream in upstreams {
        columns.row([
            upstream.name.clone(),
            upstream.servers.to_string(),
            upstream.taking_new.to_string(),
            upstream.in_flight.to_string(),
            sessions(upstream.sessions),
            upstream.balance.clone(),
            upstream.sticky.join(", "),
        ]);
    }
    columns.text()
}

fn server_table(servers: &[ServerInfo]) -> String {
    let heading = [
        "server",
        "state",
        "health",
        "weight",
        "in flight",
        "max",
        "sessions",
        "waiting",
        "answers",
        "last failure",
        "address",
        "",
    ];
    let mut columns = Columns::new(&heading);
    for server in servers {
        let source = match server.source {
            Source::File => None,
            Source::Dns => Some("by DNS"),
            Source::RunTime => Some("not in the file"),
        };
        let notes: Vec<&str> = server.backup.then_some("backup").into_iter().chain(source).collect();
        columns.row([
            format!("{}/{}", server.upstream, server.id),
            server.state.as_str().to_owned(),
            server.health.as_str().to_owned(),
            server.weight.to_string(),
            server.in_flight.to_string(),
            or_dash(server.max_conns),
            sessions(server.sessions),
            server.waiting.to_string(),
            answers(&server.answers),
            last_failure(server),
            server.address.clone(),
            notes.join(", "),
        ]);
    }
    columns.text()
}

/// The classes of which there were answers.
fn answers(answers: &AnswerInfo) -> String {
    let AnswerInfo { informational, success, redirection, client_error, server_error } = *answers;
    let classes =
        [("1xx", informational), ("2xx", success), ("3xx", redirection), ("4xx", client_error), ("5xx", server_error)];
    let given: Vec<String> =
        classes.iter().filter(|(_, count)| *count > 0).map(|(class, count)| format!("{count} {class}")).collect();
    if given.is_empty() { "-".to_owned() } else { given.join(", ") }
}

pub fn last_failure(server: &ServerInfo) -> String {
    server.last_failure.as_ref().map_or_else(|| "-".to_owned(), |last| format!("{}, {} ago", last.reason, span(last.ago)))
}

fn remarks(servers: &[ServerInfo], drains: &[DrainStatus]) -> String {
    let down = servers.iter().filter(|server| server.health == ServerHealth::Down && server.state != ServerState::Maint);
    let down = down.map(|server| {
        let why = server.last_failure.as_ref().map_or_else(String::new, |_| format!(": {}", last_failure(server)));
        format!("down      {}/{} at {}{why}", server.upstream, server.id, server.address)
    });
    let maint = servers.iter().filter(|server| server.state == ServerState::Maint);
    let maint = maint.map(|server| format!("maint     {}/{}", server.upstream, server.id));
    let leaving = drains.iter().filter(|status| status.state != ServerState::Maint).map(drain_line);
    let lines: Vec<String> = down.chain(maint).chain(leaving).collect();
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

pub fn drain_line(status: &DrainStatus) -> String {
    drain_line_with(status, "")
}

/// With `more` before the end of the line, which may not fit on a terminal.
pub fn drain_line_with(status: &DrainStatus, more: &str) -> String {
    let DrainStatus { upstream, server, stage, in_flight, sessions, quiet_for, idle_time, deadline, .. } = status;
    let word = match stage {
        Stage::Serving => "serving ",
        Stage::Draining => "draining",
        Stage::Complete => "drained ",
    };
    let deadline = deadline.map_or_else(String::new, |left| format!(", deadline in {}", span(left.into())));
    let quiet = format!("quiet for {} of {}", span(*quiet_for.min(idle_time)), span(*idle_time));
    format!("{word}  {upstream}/{server}: {}, {in_flight} in flight{more}, {quiet}{deadline}", sessions_left(*sessions))
}
