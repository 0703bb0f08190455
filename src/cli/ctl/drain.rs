//! `drain`: no new sessions for a server, and if wanted waiting until the last one has gone.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use ::http::Method;
use clap::{Args, ValueEnum};

use super::client::AskError;
use super::console::{Console, Form, print_out, read};
use super::server_arg::ServerArg;
use super::show::{drain_line, drain_line_with};
use super::text::{parse_span, span};
use crate::api::drain::{DrainStatus, Stage};
use crate::api::server::{ServerPatch, SessionCount, Then, WantedState};
use crate::cli::ended::Ended;
use crate::runtime::clock::Clock;

/// The server keeps its sessions and gets no new ones
///
/// With --wait it ends with 0 when no session can come any more and nothing is in flight, and with 1 when the deadline has passed
/// before. `burdock ctl ready` undoes it.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// UPSTREAM/SERVER
    server: ServerArg,
    /// Wait until the drain is complete
    #[arg(long)]
    wait: bool,
    /// When the server stops serving whoever is left, as in 2h
    #[arg(long, value_parser = parse_span, value_name = "SPAN")]
    deadline: Option<u32>,
    /// What becomes of whoever is left then
    #[arg(long, value_enum, default_value = "nothing", requires = "deadline")]
    then: ThenArg,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ThenArg {
    /// Their sessions move to other servers for good
    Move,
    /// They are answered with 503
    Refuse,
    /// What the upstream's failover says for `drained`
    Nothing,
}

/// How sessions leave, as far as it has been watched.
struct Progress {
    clock: Clock,
    seen: VecDeque<(Duration, u64)>,
}

/// The rate is taken over so long.
const WINDOW: Duration = Duration::from_secs(120);
/// How often a line is written where nobody is looking.
const PLAIN: Duration = Duration::from_secs(10);

pub fn drain(console: &Console, args: &DrainArgs) -> Result<Ended, AskError> {
    let then = match args.then {
        ThenArg::Move => Some(Then::Move),
        ThenArg::Refuse => Some(Then::Refuse),
        ThenArg::Nothing => None,
    };
    let wanted =
        ServerPatch { state: Some(Some(WantedState::Drain)), deadline: args.deadline, then, ..ServerPatch::default() };
    console.client.send(Method::PATCH, &args.server.path(), &wanted)?;
    if args.wait {
        return watch(console, &args.server);
    }
    console.print(console.client.get(&format!("{}/drain", args.server.path()))?, |status: DrainStatus| {
        format!("{}\n", drain_line(&status))
    })
}

fn watch(console: &Console, server: &ServerArg) -> Result<Ended, AskError> {
    let terminal = console.form == Form::People && std::io::stdout().is_terminal();
    let mut progress = Progress { clock: Clock::start(), seen: VecDeque::new() };
    let mut said: Option<Duration> = None;
    let mut query = "";
    loop {
        let answer = console.client.get(&format!("{}/drain{query}", server.path()));
        let answer = match answer {
            // It was taken out meanwhile, and is done.
            Err(AskError::Refused(problem)) if problem.status == 404 && said.is_some() => {
                return Ok(end(terminal, Ended::Well));
            }
            answer => answer?,
        };
        let status: DrainStatus = read(answer.clone())?;
        let now = progress.clock.uptime().0;
        progress.note(now, status.sessions);
        let over = status.stage != Stage::Draining || status.deadline == Some(0);
        if terminal {
            overwrite(&progress.line(&status));
        } else if over || said.is_none_or(|said| now >= said + PLAIN) {
            match console.form {
                Form::Json => print_out(&format!("{answer}\n")),
                Form::People => print_out(&format!("{}\n", progress.line(&status))),
            }
            said = Some(now);
        }
        said = said.or(Some(now));
        if over {
            return Ok(end(terminal, verdict(server, &status)));
        }
        query = "?wait=1s";
    }
}

/// The last words go to stderr: stdout has the figures.
fn verdict(server: &ServerArg, status: &DrainStatus) -> Ended {
    let left = status.in_flight > 0 || (status.quiet_for < status.idle_time && known(status.sessions) != Some(0));
    match status.stage {
        Stage::Serving => {
            eprintln!("burdock: {server} is not draining any more: somebody else has taken it back");
            Ended::Failed
        }
        Stage::Draining | Stage::Complete if status.deadline == Some(0) && left => {
            eprintln!("burdock: the deadline has passed, and not all sessions of {server} had gone");
            Ended::Failed
        }
        Stage::Draining | Stage::Complete => Ended::Well,
    }
}

fn end(terminal: bool, ended: Ended) -> Ended {
    if terminal {
        print_out("\n");
    }
    ended
}

/// Writes a line over the one before.
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
    fn note(&mut self, now: Duration, sessions: SessionCount) {
        let Some(count) = known(sessions) else { return };
        self.seen.push_back((now, count));
        while self.seen.front().is_some_and(|(then, _)| *then + WINDOW < now) {
            self.seen.pop_front();
        }
    }

    /// Sessions that leave in a minute, once it has been watched for a while.
    fn rate(&self) -> Option<f64> {
        let ((begin, before), (end, after)) = (self.seen.front()?, self.seen.back()?);
        let time = end.saturating_sub(*begin).as_secs_f64();
        (time >= 3.0).then(|| before.saturating_sub(*after) as f64 * 60.0 / time)
    }

    /// Seconds until it is over, as it looks now. It is never over before the server has been quiet for its idle time.
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
    fn the_time_left_follows_the_rate_and_is_never_less_than_the_quiet_that_is_needed() {
        let mut progress = Progress { clock: Clock::start(), seen: VecDeque::new() };
        let sessions = |learned| SessionCount { learned: Some(learned), by_token: None };
        progress.note(Duration::ZERO, sessions(1_000));
        assert_eq!((progress.rate(), progress.eta(&status(1_000, 0, None))), (None, None));
        progress.note(Duration::from_secs(60), sessions(900));
        assert_eq!(progress.rate(), Some(100.0));
        assert_eq!(progress.eta(&status(900, 0, None)), Some(600));
        assert_eq!(progress.eta(&status(2_000, 0, None)), Some(1_200));
        assert_eq!(progress.eta(&status(2_000, 0, Some(60))), Some(60));
        assert_eq!(progress.eta(&status(0, 590, None)), Some(10));
        assert!(progress.line(&status(900, 0, None)).contains("100 leave per minute, done in about 10m"));
    }

    #[test]
    fn a_deadline_that_passes_with_sessions_left_is_a_failure() {
        let server = ServerArg { upstream: "shop".to_owned(), server: "shop-1".to_owned() };
        let ended = |status: DrainStatus| verdict(&server, &status);
        assert_eq!(ended(status(3, 10, Some(0))), Ended::Failed);
        assert_eq!(ended(DrainStatus { stage: Stage::Complete, ..status(3, 10, Some(0)) }), Ended::Failed);
        assert_eq!(ended(DrainStatus { stage: Stage::Complete, ..status(0, 10, Some(0)) }), Ended::Well);
        assert_eq!(ended(DrainStatus { stage: Stage::Complete, ..status(0, 600, None) }), Ended::Well);
        assert_eq!(ended(DrainStatus { stage: Stage::Serving, ..status(0, 600, None) }), Ended::Failed);
    }
}
