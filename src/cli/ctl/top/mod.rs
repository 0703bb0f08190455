//! `top`: upstreams, servers, sessions, rates and reasons. In a terminal it refreshes, sorts, filters and changes servers; without one
//! it prints once. `screen` is what is shown and what keys do, `draw` how it looks; this file asks the process and the terminal.

mod column;
mod draw;
mod figures;
mod screen;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::time::Duration;

use ::http::Method;
use clap::Args;
use crossterm::event::{self, Event};
use ratatui::DefaultTerminal;

use super::client::AskError;
use super::console::{Console, Form, print_out, read};
use super::metrics::Counters;
use super::show;
use crate::api;
use crate::api::server::{Changed, ServerPatch};
use crate::api::upstream::UpstreamList;
use crate::cli::outcome::Outcome;
use crate::runtime::clock::Clock;
use draw::draw;
use figures::{Figures, Snapshot};
use screen::{Change, Effect, Message, Screen};

/// Time for a response: keys wait for it.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first rates are measured.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Live view of upstreams and servers; without a terminal it prints them once
///
/// Rates are per second since the last refresh. A change of a server asks for confirmation and works as `burdock ctl drain`, `ready` and
/// `maint` do.
#[derive(Debug, Args)]
#[command(after_help = "\
Keys:
  q, Ctrl-C              quit
  Up, Down, PgUp, PgDn   select a server, also with k and j; Home and End: the first, the last
  Left, Right            sort by another column; i inverts the order
  /                      show only servers whose name, state or health contains a text; Esc shows all
  d, r, m                drain the selected server, set it ready, or set it to maintenance")]
pub struct TopArgs {
    /// Seconds between refreshes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
}

pub fn top(console: &Console, args: &TopArgs) -> Result<Outcome, AskError> {
    let clock = Clock::start();
    let pause = Duration::from_secs(args.every);
    let first = snapshot(console, &clock)?;
    if console.form == Form::Text && std::io::stdout().is_terminal() {
        let mut terminal = Terminal::enter()?;
        return refresh(&mut terminal.0, console, &clock, pause, first);
    }
    std::thread::sleep(pause.min(Duration::from_secs(1)));
    let figures = Figures::between(&first, &snapshot(console, &clock)?);
    match console.form {
        Form::Json => print_out(&format!("{:#}\n", figures.to_json())),
        Form::Text => print_out(&figures.page()),
    }
    Ok(Outcome::Success)
}

/// Refreshes until a key quits. If the process does not answer, for example while it restarts, the last figures stay, with the error.
fn refresh(
    terminal: &mut DefaultTerminal,
    console: &Console,
    clock: &Clock,
    pause: Duration,
    first: Snapshot,
) -> Result<Outcome, AskError> {
    let mut screen = Screen::new(Figures::between(&first, &first));
    let mut before = first;
    let mut next = clock.uptime().0 + FIRST_PAUSE;
    loop {
        terminal.draw(|frame| draw(frame, &mut screen))?;
        let left = next.saturating_sub(clock.uptime().0);
        if left.is_zero() {
            match snapshot(console, clock) {
                Ok(now) => {
                    screen.figures = Figures::between(&before, &now);
                    before = now;
                }
                Err(error) => screen.message = Some(Message::Failed(error.to_string())),
            }
            next = clock.uptime().0 + pause;
        } else if event::poll(left)?
            && let Event::Key(key) = event::read()?
        {
            match screen.key(key) {
                Effect::None => {}
                Effect::Quit => return Ok(Outcome::Success),
                Effect::Change(change) => {
                    screen.message = Some(apply(console, &change));
                    // The next figures show it.
                    next = clock.uptime().0;
                }
            }
        }
    }
}

fn snapshot(console: &Console, clock: &Clock) -> Result<Snapshot, AskError> {
    let version = read(console.client.get(&api::path(&["version"]))?)?;
    let upstreams: UpstreamList = read(console.client.get(&api::path(&["upstreams"]))?)?;
    let servers = show::fetch(console, upstreams.upstreams.iter().map(|upstream| &*upstream.name))?;
    let counters = Counters::parse(&console.client.metrics()?);
    Ok(Snapshot { at: clock.uptime().0, version, upstreams, servers, counters })
}

fn apply(console: &Console, change: &Change) -> Message {
    let patch = ServerPatch { state: Some(Some(change.wanted)), ..ServerPatch::default() };
    let answer = console.client.send(Method::PATCH, &change.server.path(), &patch).and_then(read);
    match answer {
        Ok(Changed { server, warning }) => {
            let state = server.map_or("removed", |server| server.state.as_str());
            let warning = warning.map_or_else(String::new, |warning| format!("; {warning}"));
            Message::Done(format!("{}: {state}{warning}", change.server))
        }
        Err(error) => Message::Failed(format!("{}: {error}", change.server)),
    }
}

/// The terminal in raw mode, until dropped. If the program panics, the terminal is restored before the message is printed.
struct Terminal(DefaultTerminal);

impl Terminal {
    fn enter() -> std::io::Result<Self> {
        ratatui::try_init().map(Self).inspect_err(|_| restore())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// A terminal that is gone needs no restoring.
fn restore() {
    let _ = ratatui::try_restore();
}
