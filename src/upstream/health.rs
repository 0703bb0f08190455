//! Active health checks: what a check sends and expects, and how its outcomes make a server up or down. The shell runs
//! the checks.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How the servers of an upstream are checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckSpec {
    pub probe: Probe,
    /// A port to check instead of the server's own, for servers with an address and a port.
    pub port: Option<u16>,
    /// The time between two checks of a server, plus or minus a tenth.
    pub interval: Duration,
    /// For the whole check: connect, request and response.
    pub timeout: Duration,
    pub thresholds: Thresholds,
}

/// What a check does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// Expects a connection to be accepted.
    Tcp,
    /// Expects a GET to be answered with a certain status.
    Http(HttpProbe),
}

/// A GET request and the statuses that count as healthy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpProbe {
    pub path: String,
    /// The Host header; None: the server's address.
    pub host: Option<String>,
    pub headers: Vec<(::http::HeaderName, ::http::HeaderValue)>,
    pub expect: Vec<RangeInclusive<u16>>,
    /// Statuses by which a healthy server asks for no new sessions.
    pub drain: Vec<RangeInclusive<u16>>,
}

/// How many outcomes in a row change a server's health. The very first outcome decides at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// Successes in a row that bring a server up.
    pub rise: NonZeroU32,
    /// Failures in a row that take it down.
    pub fall: NonZeroU32,
}

/// A server's health.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Health {
    /// Its first check has not finished, so it is not used yet.
    Unchecked,
    Up,
    Down,
}

/// A server's health in full detail, as in logs and metrics.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Condition {
    Unchecked,
    Up,
    /// Up, but its check asks for no new sessions.
    Draining,
    /// Its checks failed.
    Down,
    /// Too many requests failed there; its checks pass.
    Ejected,
}

/// How one check ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Passed,
    /// It passed, and the server asks for no new sessions.
    Draining,
    Failed,
    /// It could not be run for lack of something on this host, such as descriptors. It says nothing of the server.
    NotRun,
}

/// The number of outcomes in a row that contradict the current health.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Streak(u32);

impl Condition {
    /// Those that metrics count.
    pub const ALL: [Self; 5] = [Self::Unchecked, Self::Up, Self::Draining, Self::Down, Self::Ejected];

    /// Whether the server may be used.
    pub fn health(self) -> Health {
        match self {
            Self::Unchecked => Health::Unchecked,
            Self::Up | Self::Draining => Health::Up,
            Self::Down | Self::Ejected => Health::Down,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Up => "up",
            Self::Draining => "draining",
            Self::Down => "down",
            Self::Ejected => "ejected",
        }
    }
}

impl HttpProbe {
    /// The outcome of a check with this status.
    pub fn outcome(&self, status: u16) -> Outcome {
        let is_in = |ranges: &[RangeInclusive<u16>]| ranges.iter().any(|range| range.contains(&status));
        if is_in(&self.drain) {
            Outcome::Draining
        } else if is_in(&self.expect) {
            Outcome::Passed
        } else {
            Outcome::Failed
        }
    }
}

impl Streak {
    /// Counts one more outcome and returns the new health.
    pub fn observe(&mut self, health: Health, outcome: Outcome, thresholds: Thresholds) -> Health {
        let (opposite, needed) = match (health, outcome) {
            (_, Outcome::NotRun) => return health,
            (Health::Unchecked, Outcome::Passed | Outcome::Draining) => return Health::Up,
            (Health::Unchecked, Outcome::Failed) => return Health::Down,
            (Health::Up, Outcome::Passed | Outcome::Draining) | (Health::Down, Outcome::Failed) => {
                self.0 = 0;
                return health;
            }
            (Health::Up, Outcome::Failed) => (Health::Down, thresholds.fall),
            (Health::Down, Outcome::Passed | Outcome::Draining) => (Health::Up, thresholds.rise),
        };
        self.0 += 1;
        if self.0 < needed.get() {
            return health;
        }
        self.0 = 0;
        opposite
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
        const THREE: NonZeroU32 = NonZeroU32::new(3).unwrap();
        Self { rise: TWO, fall: THREE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health_after(outcomes: &[Outcome]) -> Health {
        let mut streak = Streak::default();
        outcomes.iter().fold(Health::Unchecked, |health, &outcome| streak.observe(health, outcome, Thresholds::default()))
    }

    use Outcome::{Failed, NotRun, Passed};

    #[test]
    fn a_check_that_could_not_run_changes_nothing() {
        assert_eq!(health_after(&[NotRun]), Health::Unchecked);
        assert_eq!(health_after(&[Passed, NotRun, NotRun, NotRun]), Health::Up);
        assert_eq!(health_after(&[Passed, Failed, Failed, NotRun, Failed]), Health::Down);
    }

    #[test]
    fn the_first_check_decides_at_once() {
        assert_eq!(health_after(&[]), Health::Unchecked);
        assert_eq!(health_after(&[Passed]), Health::Up);
        assert_eq!(health_after(&[Failed]), Health::Down);
    }

    #[test]
    fn three_failures_take_a_server_down_and_two_successes_up() {
        assert_eq!(health_after(&[Passed, Failed, Failed]), Health::Up);
        assert_eq!(health_after(&[Passed, Failed, Failed, Failed]), Health::Down);
        assert_eq!(health_after(&[Failed, Passed]), Health::Down);
        assert_eq!(health_after(&[Failed, Passed, Passed]), Health::Up);
    }

    #[test]
    fn an_outcome_that_agrees_resets_the_streak() {
        assert_eq!(health_after(&[Passed, Failed, Failed, Passed, Failed, Failed]), Health::Up);
        assert_eq!(health_after(&[Failed, Passed, Failed, Passed]), Health::Down);
    }
}
