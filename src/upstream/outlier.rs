//! Passive health: what attempts to have requests answered say of a server. One that fails several times in a row is ejected for
//! a while, and comes back only by a probe that passes, which the shell makes when the time is over.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use ::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::time::Uptime;

use super::percent::Percent;
use super::retry::Failure;

/// When servers of an upstream are ejected, and for how long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutlierSpec {
    /// Failures in a row that eject a server.
    pub failures: NonZeroU32,
    /// All of them must have come within this time.
    pub window: Duration,
    /// What counts as a failure.
    pub on: Vec<PassiveFailure>,
    /// How long the first ejection lasts; each further one, and each probe that fails, twice as long as the one before.
    pub ejection_time: Duration,
    /// The longest; a server that has been back for as long begins anew.
    pub max_ejection_time: Duration,
    /// Of the servers in use at most so many are ejected at one time.
    pub max_ejected: Percent,
}

/// A failure that speaks against a server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PassiveFailure {
    /// No connection came about.
    Connect,
    /// It was silent for too long, having all of the request.
    Timeout,
    /// It closed a new connection without an answer.
    Closed,
    /// It answered with a status of 500 to 599.
    Status5xx,
}

/// How an attempt to have a request answered ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// A final response began, or 101. What becomes of an upgraded stream says nothing.
    Answered(StatusCode),
    Failed(Failure),
}

/// A server has been ejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ejection {
    /// The last of the failures.
    pub failure: PassiveFailure,
    /// For how long, until it is probed.
    pub time: Duration,
}

/// What an attempt says of the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Good,
    Bad(PassiveFailure),
    Nothing,
}

/// What a server's failures have come to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(super) struct Outlier {
    /// When the failures of the present row came.
    row: VecDeque<Uptime>,
    /// Times that it was ejected, or kept so, without a long good time between them.
    #[serde(rename = "holds")]
    ejections: u32,
    place: Place,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// In use, since its last ejection or ever.
    In(Uptime),
    Ejected {
        /// Then it is probed.
        until: Uptime,
    },
}

impl PassiveFailure {
    pub const ALL: [Self; 4] = [Self::Connect, Self::Timeout, Self::Closed, Self::Status5xx];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Status5xx => "status_5xx",
        }
    }
}

impl OutlierSpec {
    pub(super) fn verdict(&self, attempt: Attempt) -> Verdict {
        let failure = match attempt {
            Attempt::Answered(status) if status.is_server_error() => PassiveFailure::Status5xx,
            Attempt::Answered(_) => return Verdict::Good,
            Attempt::Failed(Failure::Connect) => PassiveFailure::Connect,
            Attempt::Failed(Failure::Timeout) => PassiveFailure::Timeout,
            Attempt::Failed(Failure::Closed) => PassiveFailure::Closed,
            Attempt::Failed(Failure::Stale | Failure::Other) => return Verdict::Nothing,
        };
        match (self.on.contains(&failure), attempt) {
            (true, _) => Verdict::Bad(failure),
            // Where statuses do not count, any answer is one.
            (false, Attempt::Answered(_)) => Verdict::Good,
            (false, Attempt::Failed(_)) => Verdict::Nothing,
        }
    }

    fn ejection_time(&self, times: u32) -> Duration {
        let factor = 2_u32.checked_pow(times).unwrap_or(u32::MAX);
        self.ejection_time.saturating_mul(factor).min(self.max_ejection_time)
    }
}

impl Outlier {
    pub(super) fn is_ejected(&self) -> bool {
        self.ejected_until().is_some()
    }

    pub(super) fn ejected_until(&self) -> Option<Uptime> {
        match self.place {
            Place::In(_) => None,
            Place::Ejected { until } => Some(until),
        }
    }

    pub(super) fn has_row(&self) -> bool {
        !self.row.is_empty()
    }

    pub(super) fn good(&mut self) {
        self.row.clear();
    }

    /// Takes one more failure; whether the server ought to be ejected for it.
    pub(super) fn bad(&mut self, spec: &OutlierSpec, at: Uptime) -> bool {
        let needed = spec.failures.get() as usize;
        self.row.push_back(at);
        while self.row.len() > needed || self.row.front().is_some_and(|first| at.since(*first) > spec.window) {
            self.row.pop_front();
        }
        !self.is_ejected() && self.row.len() >= needed
    }

    /// Ejects it; None where it is so already.
    pub(super) fn eject(&mut self, spec: &OutlierSpec, at: Uptime) -> Option<Duration> {
        let Place::In(since) = self.place else { return None };
        if at.since(since) >= spec.max_ejection_time {
            self.ejections = 0;
        }
        Some(self.extend(spec, at))
    }

    /// Its probe has passed.
    pub(super) fn back(&mut self, at: Uptime) {
        self.row.clear();
        self.place = Place::In(at);
    }

    /// Its probe has failed, or it has just been ejected: how long it is ejected now.
    pub(super) fn extend(&mut self, spec: &OutlierSpec, at: Uptime) -> Duration {
        let time = spec.ejection_time(self.ejections);
        self.ejections = self.ejections.saturating_add(1);
        self.place = Place::Ejected { until: at.plus(time) };
        time
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::In(Uptime::default())
    }
}

impl Default for OutlierSpec {
    fn default() -> Self {
        const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
        Self {
            failures: FIVE,
            window: Duration::from_secs(10),
            on: PassiveFailure::ALL.into(),
            ejection_time: Duration::from_secs(10),
            max_ejection_time: Duration::from_secs(300),
            max_ejected: Percent::HALF,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime(Duration::from_secs(seconds))
    }

    fn due(outlier: &mut Outlier, times: &[u64]) -> Vec<bool> {
        times.iter().map(|&time| outlier.bad(&OutlierSpec::default(), at(time))).collect()
    }

    #[test]
    fn five_failures_in_a_row_within_ten_seconds_are_too_many() {
        assert_eq!(due(&mut Outlier::default(), &[1, 1, 2, 2, 11]), [false, false, false, false, true]);
    }

    #[test]
    fn failures_that_are_too_far_apart_are_not_a_row() {
        assert_eq!(due(&mut Outlier::default(), &[1, 2, 3, 4, 12, 13]), [false; 6]);
        assert_eq!(due(&mut Outlier::default(), &[1, 10, 10, 10, 12, 13]), [false, false, false, false, false, true]);
    }

    #[test]
    fn an_answer_ends_the_row() {
        let mut outlier = Outlier::default();
        due(&mut outlier, &[1, 1, 1, 1]);
        outlier.good();
        assert!(!outlier.has_row());
        assert_eq!(due(&mut outlier, &[1]), [false]);
    }

    #[test]
    fn each_hold_is_twice_the_one_before_up_to_the_longest() {
        let (mut outlier, spec) = (Outlier::default(), OutlierSpec::default());
        assert_eq!(outlier.eject(&spec, at(0)), Some(spec.ejection_time));
        let holds: Vec<_> = (0..6).map(|_| outlier.extend(&spec, at(0)).as_secs()).collect();
        assert_eq!(holds, [20, 40, 80, 160, 300, 300]);
        outlier.back(at(1000));
        assert_eq!(outlier.eject(&spec, at(1299)), Some(spec.max_ejection_time), "it was not good for long");
        outlier.back(at(2000));
        assert_eq!(outlier.eject(&spec, at(2300)), Some(spec.ejection_time), "it was");
    }

    #[test]
    fn who_is_ejected_is_not_ejected_again() {
        let (mut outlier, spec) = (Outlier::default(), OutlierSpec::default());
        assert!(outlier.eject(&spec, at(0)).is_some());
        assert_eq!(outlier.eject(&spec, at(1)), None);
        assert_eq!(due(&mut outlier, &[1, 1, 1, 1, 1, 1]), [false; 6]);
    }

    #[test]
    fn what_attempts_say() {
        let all = OutlierSpec::default();
        let connects = OutlierSpec { on: vec![PassiveFailure::Connect], ..OutlierSpec::default() };
        let answered = |status| Attempt::Answered(StatusCode::from_u16(status).unwrap());
        for (attempt, of_all, of_connects) in [
            (answered(101), Verdict::Good, Verdict::Good),
            (answered(200), Verdict::Good, Verdict::Good),
            (answered(499), Verdict::Good, Verdict::Good),
            (answered(500), Verdict::Bad(PassiveFailure::Status5xx), Verdict::Good),
            (
                Attempt::Failed(Failure::Connect),
                Verdict::Bad(PassiveFailure::Connect),
                Verdict::Bad(PassiveFailure::Connect),
            ),
            (Attempt::Failed(Failure::Timeout), Verdict::Bad(PassiveFailure::Timeout), Verdict::Nothing),
            (Attempt::Failed(Failure::Closed), Verdict::Bad(PassiveFailure::Closed), Verdict::Nothing),
            (Attempt::Failed(Failure::Stale), Verdict::Nothing, Verdict::Nothing),
            (Attempt::Failed(Failure::Other), Verdict::Nothing, Verdict::Nothing),
        ] {
            assert_eq!((all.verdict(attempt), connects.verdict(attempt)), (of_all, of_connects), "{attempt:?}");
        }
    }

    proptest! {
        /// Against the plain words: the last `failures` outcomes are failures, and all within the window.
        #[test]
        fn a_row_is_what_it_is_said_to_be(
            steps in prop::collection::vec((0_u64..6, prop::bool::weighted(0.8)), 1..60),
            failures in 1_u32..7,
            window in 0_u64..20,
        ) {
            let failures = NonZeroU32::new(failures).unwrap();
            let spec = OutlierSpec { failures, window: Duration::from_secs(window), ..OutlierSpec::default() };
            let (mut outlier, mut now, mut row) = (Outlier::default(), 0, Vec::new());
            for (later, fails) in steps {
                now += later;
                if !fails {
                    outlier.good();
                    row.clear();
                    continue;
                }
                row.push(now);
                let last: Vec<_> = row.iter().rev().take(failures.get() as usize).collect();
                let expected = last.len() == failures.get() as usize && last.iter().all(|&&then| now - then <= window);
                prop_assert_eq!(outlier.bad(&spec, at(now)), expected);
            }
        }
    }
}
