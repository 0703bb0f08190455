//! Health as seen by active checks: what a check asks for, and how its outcomes become up and down. Running the checks is the
//! shell's work.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How the servers of an upstream are checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckSpec {
    pub probe: Probe,
    /// Another port than the one that serves, for servers with an address and a port.
    pub port: Option<u16>,
    /// Time from one check of a server to the next, give or take a tenth.
    pub interval: Duration,
    /// For the whole check: connect, request and response.
    pub timeout: Duration,
    pub thresholds: Thresholds,
}

/// What a check does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// A connection is accepted.
    Tcp,
    /// A GET is answered with an expected status.
    Http(HttpProbe),
}

/// A GET and the answers that count as healthy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpProbe {
    pub path: String,
    /// The Host header; the server's address where none is given.
    pub host: Option<String>,
    pub headers: Vec<(::http::HeaderName, ::http::HeaderValue)>,
    pub expect: Vec<RangeInclusive<u16>>,
}

/// How many outcomes in a row change a server's health. The first outcome of all decides at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// Successes in a row that bring a server up.
    pub rise: NonZeroU32,
    /// Failures in a row that take it down.
    pub fall: NonZeroU32,
}

/// What Burdock believes of a server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Health {
    /// It has a check that has not run: it is not used yet.
    Unchecked,
    Up,
    Down,
}

/// The same to the last detail, as it is logged and counted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Condition {
    Unchecked,
    Up,
    /// Its checks say so.
    Down,
    /// Requests have failed there; as far as its checks go it is up.
    Ejected,
}

/// How one check ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Passed,
    Failed,
}

/// Outcomes in a row that speak against the present belief.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Streak(u32);

impl Condition {
    pub const ALL: [Self; 4] = [Self::Unchecked, Self::Up, Self::Down, Self::Ejected];

    /// Whether the server may be used.
    pub fn health(self) -> Health {
        match self {
            Self::Unchecked => Health::Unchecked,
            Self::Up => Health::Up,
            Self::Down | Self::Ejected => Health::Down,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Up => "up",
            Self::Down => "down",
            Self::Ejected => "ejected",
        }
    }
}

impl HttpProbe {
    pub fn expects(&self, status: u16) -> bool {
        self.expect.iter().any(|range| range.contains(&status))
    }
}

impl Streak {
    /// Takes one more outcome and tells what health is now.
    pub fn observe(&mut self, health: Health, outcome: Outcome, thresholds: Thresholds) -> Health {
        let (opposite, needed) = match (health, outcome) {
            (Health::Unchecked, Outcome::Passed) => return Health::Up,
            (Health::Unchecked, Outcome::Failed) => return Health::Down,
            (Health::Up, Outcome::Passed) | (Health::Down, Outcome::Failed) => {
                self.0 = 0;
                return health;
            }
            (Health::Up, Outcome::Failed) => (Health::Down, thresholds.fall),
            (Health::Down, Outcome::Passed) => (Health::Up, thresholds.rise),
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

    fn believed(outcomes: &[Outcome]) -> Health {
        let mut streak = Streak::default();
        outcomes.iter().fold(Health::Unchecked, |health, &outcome| streak.observe(health, outcome, Thresholds::default()))
    }

    use Outcome::{Failed, Passed};

    #[test]
    fn the_first_check_decides_at_once() {
        assert_eq!(believed(&[]), Health::Unchecked);
        assert_eq!(believed(&[Passed]), Health::Up);
        assert_eq!(believed(&[Failed]), Health::Down);
    }

    #[test]
    fn a_server_falls_after_three_failures_in_a_row_and_rises_after_two_successes() {
        assert_eq!(believed(&[Passed, Failed, Failed]), Health::Up);
        assert_eq!(believed(&[Passed, Failed, Failed, Failed]), Health::Down);
        assert_eq!(believed(&[Failed, Passed]), Health::Down);
        assert_eq!(believed(&[Failed, Passed, Passed]), Health::Up);
    }

    #[test]
    fn an_outcome_that_agrees_ends_the_row() {
        assert_eq!(believed(&[Passed, Failed, Failed, Passed, Failed, Failed]), Health::Up);
        assert_eq!(believed(&[Failed, Passed, Failed, Passed]), Health::Down);
    }
}
