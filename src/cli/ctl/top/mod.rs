//! `top`: upstreams, servers, sessions, rates and reasons. It refreshes in a terminal; without one it prints once.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::{cursor, execute, terminal};
use serde_json::json;

use super::client::AskError;
use super::console::{Console, Form, print_out, read};
use super::metrics::Counters;
use super::show;
use super::text::{Columns, or_dash, sessions, span};
use crate::api;
use crate::api::process::Version;
use crate::api::server::ServerInfo;
use crate::api::upstream::UpstreamList;
use crate::cli::outcome::Outcome;
use crate::runtime::clock::Clock;

/// Live view of upstreams, servers, sessions, rates and reasons; q quits
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Seconds between refreshes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
}

/// The state and counters at one time.
struct Snapshot {
    at: Duration,
    version: Version,
    upstreams: UpstreamList,
    servers: Vec<ServerInfo>,
    counters: Counters,
}

pub fn top(console: &Console, args: &TopArgs) -> Result<Outcome, AskError> {
    let clock = Clock::start();
    let pause = Duration::from_secs(args.every);
    if console.form == Form::Text && std::io::stdout().is_terminal() {
        return refreshing(console, &clock, pause);
    }
    let first = snapshot(console, &clock)?;
    std::thread::sleep(pause.min(Duration::from_secs(1)));
    let second = snapshot(console, &clock)?;
    match console.form {
        Form::Json => print_out(&format!("{:#}\n", figures(&first, &second))),
        Form::Text => print_out(&page(&first, &second)),
    }
    Ok(Outcome::Success)
}

fn refreshing(console: &Console, clock: &Clock, pause: Duration) -> Result<Outcome, AskError> {
    let mut before = snapshot(console, clock)?;
    let _screen = Screen::enter()?;
    let mut wait = Duration::from_millis(500);
    loop {
        if has_quit(wait)? {
            return Ok(Outcome::Success);
        }
        wait = pause;
        let now = snapshot(console, clock)?;
        draw(&page(&before, &now))?;
        before = now;
    }
}

fn snapshot(console: &Console, clock: &Clock) -> Result<Snapshot, AskError> {
    let version = read(console.client.get(&api::path(&["version"]))?)?;
    let upstreams: UpstreamList = read(console.client.get(&api::path(&["upstreams"]))?)?;
    let servers = show::fetch(console, upstreams.upstreams.iter().map(|upstream| &*upstream.name))?;
    let counters = Counters::parse(&console.client.metrics()?);
    Ok(Snapshot { at: clock.uptime().0, version, upstreams, servers, counters })
}

/// The rate per second between two snapshots.
fn rate(before: &Snapshot, now: &Snapshot, name: &str, labels: &[(&str, &str)]) -> f64 {
    let time = now.at.saturating_sub(before.at).as_secs_f64();
    let gained = now.counters.sum(name, labels) - before.counters.sum(name, labels);
    if time > 0.0 { gained.max(0.0) / time } else { 0.0 }
}

/// The reasons of this upstream's requests per second, the most frequent first.
fn reasons(before: &Snapshot, now: &Snapshot, upstream: &str) -> Vec<(String, f64)> {
    let of = [("upstream", upstream)];
    let all = now.counters.by("burdock_decisions_total", &of, "reason").into_keys();
    let rates = all.map(|reason| {
        let rate = rate(before, now, "burdock_decisions_total", &[("upstream", upstream), ("reason", &reason)]);
        (reason, rate)
    });
    let mut rates: Vec<_> = rates.filter(|(_, rate)| *rate > 0.0).collect();
    rates.sort_by(|a, b| b.1.total_cmp(&a.1));
    rates
}

fn page(before: &Snapshot, now: &Snapshot) -> String {
    let Version { version, uptime, readiness, connections, .. } = &now.version;
    let requests = rate(before, now, "burdock_requests_total", &[]);
    let head = format!(
        "burdock {version}, up for {}, {}, {connections} client connections, {requests:.1} requests/s\n",
        span(*uptime),
        readiness.as_str()
    );
    let mut upstreams = Columns::new(&["upstream", "req/s", "in flight", "sessions", "taking new", "reasons per second"]);
    for upstream in &now.upstreams.upstreams {
        let reasons = reasons(before, now, &upstream.name).into_iter().map(|(reason, rate)| format!("{reason} {rate:.1}"));
        upstreams.row([
            upstream.name.clone(),
            format!("{:.1}", rate(before, now, "burdock_decisions_total", &[("upstream", &upstream.name)])),
            upstream.in_flight.to_string(),
            sessions(upstream.sessions),
            format!("{} of {}", upstream.taking_new, upstream.servers),
            reasons.collect::<Vec<_>>().join(", "),
        ]);
    }
    format!("{head}\n{}\n{}", upstreams.text(), servers(before, now))
}

fn servers(before: &Snapshot, now: &Snapshot) -> String {
    let heading = ["server", "state", "health", "weight", "req/s", "fail/s", "in flight", "max", "sessions"];
    let mut columns = Columns::new(&heading);
    for server in &now.servers {
        let labels = [("upstream", &*server.upstream), ("server", &*server.id)];
        columns.row([
            format!("{}/{}", server.upstream, server.id),
            server.state.as_str().to_owned(),
            server.health.as_str().to_owned(),
            server.weight.to_string(),
            format!("{:.1}", rate(before, now, "burdock_server_requests_total", &labels)),
            format!("{:.1}", rate(before, now, "burdock_server_failures_total", &labels)),
            server.in_flight.to_string(),
            or_dash(server.max_conns),
            sessions(server.sessions),
        ]);
    }
    columns.text()
}

fn figures(before: &Snapshot, now: &Snapshot) -> serde_json::Value {
    let upstreams = now.upstreams.upstreams.iter().map(|upstream| {
        let reasons: serde_json::Map<_, _> =
            reasons(before, now, &upstream.name).into_iter().map(|(reason, rate)| (reason, json!(rate))).collect();
        json!({"upstream": upstream, "reasons_per_second": reasons})
    });
    let servers = now.servers.iter().map(|server| {
        let labels = [("upstream", &*server.upstream), ("server", &*server.id)];
        json!({"server": server, "requests_per_second": rate(before, now, "burdock_server_requests_total", &labels),
            "failures_per_second": rate(before, now, "burdock_server_failures_total", &labels)})
    });
    json!({"version": now.version, "upstreams": upstreams.collect::<Vec<_>>(), "servers": servers.collect::<Vec<_>>()})
}

/// The terminal in raw mode, until dropped.
struct Screen;

impl Screen {
    fn enter() -> std::io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(std::io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(std::io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

fn draw(page: &str) -> std::io::Result<()> {
    let (width, height) = terminal::size()?;
    let mut out = std::io::stdout().lock();
    execute!(out, cursor::MoveTo(0, 0))?;
    let lines: Vec<&str> = page.lines().take(usize::from(height).saturating_sub(1)).collect();
    for line in lines {
        let line: String = line.chars().take(width.into()).collect();
        write!(out, "{line}\x1b[K\r\n")?;
    }
    execute!(out, terminal::Clear(terminal::ClearType::FromCursorDown))?;
    out.flush()
}

/// Waits for `pause` or a key; true if the key quits.
fn has_quit(pause: Duration) -> std::io::Result<bool> {
    if !event::poll(pause)? {
        return Ok(false);
    }
    let Event::Key(key) = event::read()? else { return Ok(false) };
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}
