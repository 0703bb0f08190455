//! `sessions`: counts, lists, finds and forgets sessions in session tables.

use ::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::AskError;
use super::console::{Console, Form, print_out, read};
use super::text::{Columns, or_dash, parse_span, span};
use crate::api;
use crate::api::table::{FindSession, Forgotten, SessionInfo, SessionList, SessionQuery, TableDetails, TableList};
use crate::cli::outcome::Outcome;

#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// Counts sessions by table and server
    Count {
        /// Only this table
        table: Option<String>,
    },
    List(ListArgs),
    /// Finds a session by the application's session id, read from stdin
    Find {
        table: String,
        /// The id; visible in the process list and in the shell's history
        #[arg(long)]
        id: Option<String>,
    },
    Delete(DeleteArgs),
}

/// Lists sessions of a table
#[derive(Debug, Args)]
pub struct ListArgs {
    table: String,
    /// Only sessions of this server
    #[arg(long)]
    server: Option<String>,
    /// Only sessions of this upstream's servers
    #[arg(long)]
    upstream: Option<String>,
    /// Only sessions whose fingerprint begins with these digits
    #[arg(long)]
    prefix: Option<String>,
    /// Only sessions at least this old, such as 2h
    #[arg(long, value_parser = parse_span, value_name = "SPAN")]
    older_than: Option<u32>,
    /// Only sessions younger than this
    #[arg(long, value_parser = parse_span, value_name = "SPAN")]
    younger_than: Option<u32>,
    /// The most sessions to list
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Forgets a session, or all sessions of a server; their next requests count as new
#[derive(Debug, Args)]
pub struct DeleteArgs {
    table: String,
    /// The session's fingerprint, as shown by `list` and `find`
    #[arg(required_unless_present = "server")]
    fingerprint: Option<String>,
    /// All sessions of this server
    #[arg(long, conflicts_with = "fingerprint")]
    server: Option<String>,
}

pub fn sessions(console: &Console, command: &SessionsCommand) -> Result<Outcome, AskError> {
    match command {
        SessionsCommand::Count { table } => count(console, table.as_deref()),
        SessionsCommand::List(args) => list(console, args),
        SessionsCommand::Find { table, id } => find(console, table, id.as_deref()),
        SessionsCommand::Delete(args) => delete(console, args),
    }
}

fn count(console: &Console, table: Option<&str>) -> Result<Outcome, AskError> {
    let names = match table {
        Some(name) => vec![name.to_owned()],
        None => {
            let list: TableList = read(console.client.get(&api::path(&["tables"]))?)?;
            list.tables.into_iter().map(|table| table.name).collect()
        }
    };
    let tables: Vec<Value> =
        names.iter().map(|name| console.client.get(&api::path(&["tables", name]))).collect::<Result<_, _>>()?;
    if console.form == Form::Json {
        print_out(&format!("{:#}\n", json!({"tables": tables})));
        return Ok(Outcome::Success);
    }
    let mut columns = Columns::new(&["table", "server", "sessions", "capacity", "idle time", "on disk"]);
    for TableDetails { table, servers } in tables.into_iter().map(read).collect::<Result<Vec<_>, _>>()? {
        let idle = or_dash(table.idle_timeout.map(|idle| span(idle.into())));
        let rest = [table.capacity.to_string(), idle, table.persistence.as_str().to_owned()];
        columns.row([table.name.clone(), "(all)".to_owned(), table.sessions.to_string()].into_iter().chain(rest));
        for server in servers {
            let empty = || String::new();
            columns.row([empty(), server.server, server.sessions.to_string(), empty(), empty(), empty()]);
        }
    }
    print_out(&columns.text());
    Ok(Outcome::Success)
}

fn list(console: &Console, args: &ListArgs) -> Result<Outcome, AskError> {
    let mut found: Vec<SessionInfo> = Vec::new();
    let mut cursor = None;
    loop {
        let left = u32::try_from(args.limit - found.len()).unwrap_or(u32::MAX).clamp(1, 10_000);
        let query = SessionQuery {
            server: args.server.clone(),
            upstream: args.upstream.clone(),
            prefix: args.prefix.clone(),
            older_than: args.older_than,
            younger_than: args.younger_than,
            limit: Some(left),
            cursor,
        };
        let page =
            console.client.get(&format!("{}?{}", api::path(&["tables", &args.table, "sessions"]), encoded(&query)))?;
        let page: SessionList = read(page)?;
        found.extend(page.sessions);
        cursor = page.next.filter(|_| found.len() < args.limit);
        if cursor.is_none() {
            break;
        }
    }
    match console.form {
        Form::Json => print_out(&format!("{:#}\n", json!({"sessions": found}))),
        Form::Text => print_out(&table(&found)),
    }
    Ok(Outcome::Success)
}

fn encoded(query: &SessionQuery) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    if let Ok(Value::Object(fields)) = serde_json::to_value(query) {
        for (name, value) in &fields {
            text.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    text.finish()
}

fn find(console: &Console, table: &str, id: Option<&str>) -> Result<Outcome, AskError> {
    let id = match id {
        Some(id) => id.to_owned(),
        None => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    let answer =
        console.client.send(Method::POST, &api::path(&["tables", table, "sessions", "find"]), &FindSession { id })?;
    console.print(answer, |session: SessionInfo| self::table(&[session]))
}

fn delete(console: &Console, args: &DeleteArgs) -> Result<Outcome, AskError> {
    let sessions = ["tables", &args.table, "sessions"];
    match (&args.server, &args.fingerprint) {
        (Some(server), _) => {
            let path = format!("{}/forget-server", api::path(&sessions));
            let answer = console.client.send(Method::POST, &path, &json!({"server": server}))?;
            console.print(answer, |done: Forgotten| format!("forgot {} sessions of {server}\n", done.forgotten))
        }
        (None, fingerprint) => {
            let fingerprint = fingerprint.as_deref().unwrap_or_default();
            let answer = console.client.delete(&api::path(&[&sessions[..], &[fingerprint]].concat()))?;
            console.print(answer, |session: SessionInfo| {
                format!("forgot session {} of {}\n", session.fingerprint, session.server)
            })
        }
    }
}

fn table(sessions: &[SessionInfo]) -> String {
    let mut columns = Columns::new(&["fingerprint", "server", "age", "idle", "seen again"]);
    for session in sessions {
        columns.row([
            session.fingerprint.clone(),
            session.server.clone(),
            span(session.age.into()),
            span(session.idle.into()),
            if session.established { "yes" } else { "no" }.to_owned(),
        ]);
    }
    columns.text()
}
