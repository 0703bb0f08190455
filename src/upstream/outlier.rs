//! Passive health checks: the outcomes of requests decide about a server. A server that fails several times in a row is
//! ejected for a while. It returns only after a successful probe, which the shell sends at the end of that time.

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
    /// Failures that eject a server.
    pub failures: NonZeroU32,
    pub count: FailureCount,
    /// They must all be within this time.
    pub window: Duration,
    /// What counts as a failure.
    pub on: Vec<PassiveFailure>,
    /// How long the first ejection lasts. Each further one, and each failed probe, doubles the time.
    pub ejection_time: Duration,
    /// The longest ejection. After this time in use, a server starts again with the first ejection time.
    pub max_ejection_time: Duration,
    /// The largest share of the servers in use that is ejected at one time.
    pub max_ejected: Percent,
}

/// Which failures count together.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FailureCount {
    /// Those in a row: a successful answer ends it.
    #[default]
    InRow,
    /// All within the window, whatever comes between them (nginx's `max_fails` in `fail_timeout`).
    InWindow,
}

/// A failure that counts against a server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PassiveFailure {
    /// The connection failed.
    Connect,
    /// It received the whole request and did not answer in time.
    Timeout,
    /// It closed a new connection without an answer.
    Closed,
    /// It answered with a status of 500 to 599.
    Status5xx,
}

/// How an attempt to send a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Attempt {
    /// A final response began, or 101. What happens on an upgraded stream does not count.
    Answered(StatusCode),
    Failed(Failure),
}

/// A server was ejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ejection {
    /// The last failure.
    pub failure: PassiveFailure,
    /// How long it is ejected before it is probed.
    pub time: Duration,
}

/// How an attempt counts for the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Good,
    Bad(PassiveFailure),
    Nothing,
}

/// A server's failures and ejections.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(super) struct Outlier {
    /// The times of the failures that count.
    row: VecDeque<Uptime>,
    /// How often it was ejected, or stayed ejected after a probe, since it was last in use for long.
    #[serde(rename = "holds")]
    ejections: u32,
    place: Membership,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Membership {
    /// In use since its last ejection, or from the start.
    In(Uptime),
    Ejected {
        /// When it is probed.
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
            Attempt::Failed(Failure::Stale | Failure::Status(_) | Failure::Shortage | Failure::Other) => {
                return Verdict::Nothing;
            }
        };
        match (self.on.contains(&failure), attempt) {
            (true, _) => Verdict::Bad(failure),
            // If statuses do not count as failures, any answer is good.
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
            Membership::In(_) => None,
            Membership::Ejected { until } => Some(until),
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        !self.row.is_empty()
    }

    pub(super) fn good(&mut self, spec: &OutlierSpec) {
        match spec.count {
            FailureCount::InRow => self.row.clear(),
            FailureCount::InWindow => {}
        }
    }

    /// Counts one more failure. Whether the server should be ejected for it.
    pub(super) fn bad(&mut self, spec: &OutlierSpec, at: Uptime) -> bool {
        let needed = spec.failures.get() as usize;
        self.row.push_back(at);
        while self.row.len() > needed || self.row.front().is_some_and(|first| at.since(*first) > spec.window) {
            self.row.pop_front();
        }
        !self.is_ejected() && self.row.len() >= needed
    }

    /// Ejects it. None if it is ejected already.
    pub(super) fn eject(&mut self, spec: &OutlierSpec, at: Uptime) -> Option<Duration> {
        let Membership::In(since) = self.place else { return None };
        if at.since(since) >= spec.max_ejection_time {
            self.ejections = 0;
        }
        Some(self.extend(spec, at))
    }

    /// Its probe passed.
    pub(super) fn recover(&mut self, at: Uptime) {
        self.row.clear();
        self.place = Membership::In(at);
    }

    /// Its probe could not be run. Returns after which time it is tried again: the ejection does not grow.
    pub(super) fn postpone(&mut self, spec: &OutlierSpec, at: Uptime) -> Duration {
        self.place = Membership::Ejected { until: at.plus(spec.ejection_time) };
        spec.ejection_time
    }

    /// Its probe failed, or it was just ejected. Returns how long it is ejected now.
    pub(super) fn extend(&mut self, spec: &OutlierSpec, at: Uptime) -> Duration {
        let time = spec.ejection_time(self.ejections);
        self.ejections = self.ejections.saturating_add(1);
        self.place = Membership::Ejected { until: at.plus(time) };
        time
    }
}

impl Default for Membership {
    fn default() -> Self {
        Self::In(Uptime::default())
    }
}

impl Default for OutlierSpec {
    fn default() -> Self {
        const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
        Self {
            failures: FIVE,
            count: FailureCount::InRow,
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
    fn five_failures_in_a_row_within_the_window_eject() {
        assert_eq!(due(&mut Outlier::default(), &[1, 1, 2, 2, 11]), [false, false, false, false, true]);
    }

    #[test]
    fn failures_outside_the_window_do_not_count() {
        assert_eq!(due(&mut Outlier::default(), &[1, 2, 3, 4, 12, 13]), [false; 6]);
        assert_eq!(due(&mut Outlier::default(), &[1, 10, 10, 10, 12, 13]), [false, false, false, false, false, true]);
    }

    #[test]
    fn an_answer_resets_the_failures() {
        let mut outlier = Outlier::default();
        due(&mut outlier, &[1, 1, 1, 1]);
        outlier.good(&OutlierSpec::default());
        assert!(!outlier.has_failures());
        assert_eq!(due(&mut outlier, &[1]), [false]);
    }

    #[test]
    fn each_ejection_doubles_up_to_the_longest() {
        let (mut outlier, spec) = (Outlier::default(), OutlierSpec::default());
        assert_eq!(outlier.eject(&spec, at(0)), Some(spec.ejection_time));
        let holds: Vec<_> = (0..6).map(|_| outlier.extend(&spec, at(0)).as_secs()).collect();
        assert_eq!(holds, [20, 40, 80, 160, 300, 300]);
        outlier.recover(at(1000));
        assert_eq!(outlier.eject(&spec, at(1299)), Some(spec.max_ejection_time), "it was in use for too short a time");
        outlier.recover(at(2000));
        assert_eq!(outlier.eject(&spec, at(2300)), Some(spec.ejection_time), "it was in use for long enough");
    }

    #[test]
    fn an_ejected_server_is_not_ejected_again() {
        let (mut outlier, spec) = (Outlier::default(), OutlierSpec::default());
        assert!(outlier.eject(&spec, at(0)).is_some());
        assert_eq!(outlier.eject(&spec, at(1)), None);
        assert_eq!(due(&mut outlier, &[1, 1, 1, 1, 1, 1]), [false; 6]);
    }

    #[test]
    fn each_attempt_counts_as_configured() {
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
            (Attempt::Failed(Failure::Shortage), Verdict::Nothing, Verdict::Nothing),
            (Attempt::Failed(Failure::Other), Verdict::Nothing, Verdict::Nothing),
        ] {
            assert_eq!((all.verdict(attempt), connects.verdict(attempt)), (of_all, of_connects), "{attempt:?}");
        }
    }

    proptest! {
        /// Against the definition: the last `failures` outcomes are failures, and all are within the window.
        #[test]
        fn failures_in_a_row_follow_their_definition(
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
                    outlier.good(&spec);
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
