//! `passive_health` of an upstream.

use std::num::NonZeroU32;

use crate::config::schema::choice::choice;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::record;
use crate::config::schema::read::{At, SomeOf};
use crate::config::schema::scalar::Int;
use crate::config::schema::units::Positive;
use crate::upstream::outlier::{FailureCount, OutlierSpec, PassiveFailure};
use crate::upstream::percent::Percent;

record! {
    "passive health" => struct PassiveText {
        /// Failures that eject a server.
        failures: Int<NonZeroU32, 1, 100> = "5",
        /// They must all be within this time.
        window: Positive = "10s",
        /// Which failures count together.
        count: FailureCount = "in_row",
        /// What counts as a failure.
        when: SomeOf<PassiveFailure> = "[connect, timeout, closed, status_5xx]",
        /// Another name of when, which YAML 1.1 programs take for true.
        on: Option<SomeOf<PassiveFailure>>,
        /// How long the first ejection lasts. Each further one, and each failed probe, doubles the time.
        hold: Positive = "10s",
        /// The longest ejection. After this time in use, a server starts again with hold.
        max_hold: At<Positive> = "5m",
        /// The largest share of the servers in use that is ejected at one time, rounded down.
        max_share: Percent = "50%",
    }
}

choice! {
    "a kind of failure" => PassiveFailure {
        /// The connection failed.
        connect => Self::Connect,
        /// The server received the whole request and did not answer within timeouts.read.
        timeout => Self::Timeout,
        /// The server closed a new connection without an answer.
        closed => Self::Closed,
        /// The server answered with a status of 500 to 599.
        status_5xx => Self::Status5xx,
    }
}

choice! {
    "a way of counting failures" => FailureCount {
        /// Those in a row: a successful answer ends it.
        in_row => Self::InRow,
        /// All within the window, whatever comes between them.
        in_window => Self::InWindow,
    }
}

impl PassiveText {
    pub(crate) fn build(self, findings: &mut Findings) -> OutlierSpec {
        let Self { failures, window, count, when, on, hold, max_hold, max_share } = self;
        if max_hold.value < hold {
            findings.fault(max_hold.at, format!("{:?} is less than hold ({hold:?})", max_hold.value));
        }
        OutlierSpec {
            failures,
            count,
            window,
            on: on.unwrap_or(when),
            ejection_time: hold,
            max_ejection_time: max_hold.value,
            max_ejected: max_share,
        }
    }
}
