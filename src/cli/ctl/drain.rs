//! `drain`: stops new sessions for a server and, with --wait, waits until the last session has ended.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use ::http::Method;
use clap::{Args, ValueEnum};

use super::changes::SEVERAL;
use super::client::AskError;
use super::console::{Console, Form, print_out, read};
use super::each::{all, for_each};
use super::server_arg::{ServerArg, resolve};
use super::show::{drain_line, drain_line_with};
use super::text::{parse_span, span};
use crate::api::drain::{DrainStatus, Stage};
use crate::api::server::{ServerPatch, SessionCount, Then, WantedState};
use crate::cli::outcome::Outcome;
use crate::runtime::clock::Clock;

/// Drains servers: they keep their sessions and get no new ones
///
/// With --wait, it exits with 0 when no session can return and nothing is in flight, or with 1 if the deadline comes first.
/// `burdock ctl ready` ends the drain.
#[derive(Debug, Args)]
#[command(after_help = SEVERAL)]
pub struct DrainArgs {
    /// UPSTREAM/SERVER: one or several, or patterns such as 'shop/blue-*'
    #[arg(required = true, value_name = "SERVER")]
    servers: Vec<ServerArg>,
    /// Wait until the drain is complete
    #[arg(long)]
    wait: bool,
    /// When the server stops serving the sessions that are left, such as 2h
    #[arg(long, value_parser = parse_span, value_name = "SPAN")]
    deadline: Option<u32>,
    /// What happens to the sessions that are left at the deadline
    #[arg(long, value_enum, default_value = "nothing", requires = "deadline")]
    then: ThenArg,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ThenArg {
    /// They move to other servers permanently
    Move,
    /// Their requests get 503
    Refuse,
    /// As the upstream's failover configures for `drained`
    Nothing,
}

/// The progress of a drain while it is watched.
struct Progress {
    clock: Clock,
    seen: VecDeque<(Duration, u64)>,
}

/// The rate is measured over this window.
const RATE_WINDOW: Duration = Duration::from_secs(120);
/// How often a line is printed if stdout is not a terminal.
const PRINT_INTERVAL: Duration = Duration::from_secs(10);

pub fn drain(console: &Console, args: &DrainArgs) -> Result<Outcome, AskError> {
    let then = match args.then {
        ThenArg::Move => Some(Then::Move),
        ThenArg::Refuse => Some(Then::Refuse),
        ThenArg::Nothing => None,
    };
    let wanted =
        ServerPatch { state: Some(Some(WantedState::Drain)), deadline: args.deadline, then, ..ServerPatch::default() };
    let servers = resolve(&args.servers, || all(console))?;
    let begun = for_each(console, &servers, |server| {
        console.client.send(Method::PATCH, &server.path(), &wanted)?;
        if args.wait { Ok(Outcome::Success) } else { print_status(console, server) }
    })?;
    if !args.wait || begun != Outcome::Success {
        return Ok(begun);
    }
    // All of them drain meanwhile, so that one is watched after the other takes no longer.
    for_each(console, &servers, |server| watch(console, server))
}

fn print_status(console: &Console, server: &ServerArg) -> Result<Outcome, AskError> {
    console.print(console.client.get(&format!("{}/drain", server.path()))?, |status: DrainStatus| {
        format!("{}\n", drain_line(&status))
    })
}

fn watch(console: &Console, server: &ServerArg) -> Result<Outcome, AskError> {
    let terminal = console.form == Form::Text && std::io::stdout().is_terminal();
    let mut progress = Progress { clock: Clock::start(), seen: VecDeque::new() };
    let mut printed: Option<Duration> = None;
    let mut query = "";
    loop {
        let answer = console.client.get(&format!("{}/drain{query}", server.path()));
        let answer = match answer {
            // The drain completed and the server was removed meanwhile.
            Err(AskError::Refused(problem)) if problem.status == 404 && printed.is_some() => {
                return Ok(end(terminal, Outcome::Success));
            }
            answer => answer?,
        };
        let status: DrainStatus = read(answer.clone())?;
        let now = progress.clock.uptime().0;
        progress.record(now, status.sessions);
        let over = status.stage != Stage::Draining || status.deadline == Some(0);
        if terminal {
            overwrite(&progress.line(&status));
        } else if over || printed.is_none_or(|printed| now >= printed + PRINT_INTERVAL) {
            match console.form {
                Form::Json => print_out(&format!("{answer}\n")),
                Form::Text => print_out(&format!("{}\n", progress.line(&status))),
            }
            printed = Some(now);
        }
        printed = printed.or(Some(now));
        if over {
            return Ok(end(terminal, verdict(server, &status)));
        }
        query = "?wait=1s";
    }
}

/// Prints a failure to stderr: stdout has the figures.
fn verdict(server: &ServerArg, status: &DrainStatus) -> Outcome {
    let left = status.in_flight > 0 || (status.quiet_for < status.idle_time && known(status.sessions) != Some(0));
    match status.stage {
        Stage::Serving => {
            eprintln!("burdock: {server} is no longer draining: another operator has set it ready");
            Outcome::Failure
        }
        Stage::Draining | Stage::Complete if status.deadline == Some(0) && left => {
            let sessions = known(status.sessions).map_or_else(String::new, |count| format!("{count} "));
            eprintln!("burdock: deadline reached: {sessions}sessions left on {server}, {} in flight", status.in_flight);
            Outcome::Failure
        }
        Stage::Draining | Stage::Complete => Outcome::Success,
    }
}

fn end(terminal: bool, ended: Outcome) -> Outcome {
    if terminal {
        print_out("\n");
    }
    ended
}

/// Overwrites the previous line.
fn overwrite(line: &str) {
    let width = crossterm::terminal::size().map_or(80, |(width, _)| usize::from(width));
    let line: String = line.chars().take(width.saturating_sub(1)).collect();
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush());
}

fn known(sessions: SessionCount) -> Option<u64> {
    match (sessions.learned, sessions.by_token) {
        (None, None) => None,
        (learned, by_token) => Some(learned.unwrap_or(0) + by_token.unwrap_or(0)),
    }
}

impl Progress {
    fn record(&mut self, now: Duration, sessions: SessionCount) {
        let Some(count) = known(sessions) else { return };
        self.seen.push_back((now, count));
        while self.seen.front().is_some_and(|(then, _)| *then + RATE_WINDOW < now) {
            self.seen.pop_front();
        }
    }

    /// Sessions that leave per minute; none before it has been watched for three seconds.
    fn rate(&self) -> Option<f64> {
        let ((begin, before), (end, after)) = (self.seen.front()?, self.seen.back()?);
        let time = end.saturating_sub(*begin).as_secs_f64();
        (time >= 3.0).then(|| before.saturating_sub(*after) as f64 * 60.0 / time)
    }

    /// Estimated seconds until the drain ends, at least until the server has been quiet for its idle time.
    fn eta(&self, status: &DrainStatus) -> Option<u64> {
        let quiet = status.idle_time.saturating_sub(status.quiet_for);
        let last = match (known(status.sessions), self.rate()) {
            (Some(0), _) => Some(quiet),
            (Some(left), Some(rate)) if rate > 0.0 => Some(((left as f64 * 60.0 / rate) as u64).max(quiet)),
            (Some(_), Some(_) | None) | (None, _) => None,
        };
        match (last, status.deadline) {
            (Some(eta), Some(deadline)) => Some(eta.min(deadline.into())),
            (Some(eta), None) => Some(eta),
            (None, deadline) => deadline.map(u64::from),
        }
    }

    fn line(&self, status: &DrainStatus) -> String {
        let rate = self.rate().map_or_else(String::new, |rate| format!(", {rate:.0} leave per minute"));
        let eta = self.eta(status).filter(|_| status.stage == Stage::Draining);
        let eta = eta.map_or_else(String::new, |eta| format!(", done in about {}", span(eta)));
        drain_line_with(status, &format!("{rate}{eta}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::server::ServerState;

    fn status(learned: u64, quiet_for: u64, deadline: Option<u32>) -> DrainStatus {
        DrainStatus {
            upstream: "shop".to_owned(),
            server: "shop-1".to_owned(),
            state: ServerState::Drain,
            stage: Stage::Draining,
            in_flight: 0,
            sessions: SessionCount { learned: Some(learned), by_token: None },
            quiet_for,
            idle_time: 600,
            deadline,
        }
    }

    #[test]
    fn eta_follows_the_rate_but_covers_the_idle_time() {
        let mut progress = Progress { clock: Clock::start(), seen: VecDeque::new() };
        let sessions = |learned| SessionCount { learned: Some(learned), by_token: None };
        progress.record(Duration::ZERO, sessions(1_000));
        assert_eq!((progress.rate(), progress.eta(&status(1_000, 0, None))), (None, None));
        progress.record(Duration::from_secs(60), sessions(900));
        assert_eq!(progress.rate(), Some(100.0));
        assert_eq!(progress.eta(&status(900, 0, None)), Some(600));
        assert_eq!(progress.eta(&status(2_000, 0, None)), Some(1_200));
        assert_eq!(progress.eta(&status(2_000, 0, Some(60))), Some(60));
        assert_eq!(progress.eta(&status(0, 590, None)), Some(10));
        assert!(progress.line(&status(900, 0, None)).contains("100 leave per minute, done in about 10m"));
    }

    #[test]
    fn deadline_with_sessions_left_is_a_failure() {
        let server = ServerArg { upstream: "shop".to_owned(), server: "shop-1".to_owned() };
        let ended = |status: DrainStatus| verdict(&server, &status);
        assert_eq!(ended(status(3, 10, Some(0))), Outcome::Failure);
        assert_eq!(ended(DrainStatus { stage: Stage::Complete, ..status(3, 10, Some(0)) }), Outcome::Failure);
        assert_eq!(ended(DrainStatus { stage: Stage::Complete, ..status(0, 10, Some(0)) }), Outcome::Success);
        assert_eq!(ended(DrainStatus { stage: Stage::Complete, ..status(0, 600, None) }), Outcome::Success);
        assert_eq!(ended(DrainStatus { stage: Stage::Serving, ..status(0, 600, None) }), Outcome::Failure);
    }
}
