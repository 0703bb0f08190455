//! `passive_health` of an upstream.

use std::num::NonZeroU32;

use crate::config::schema::choice::choice;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::record;
use crate::config::schema::read::{At, SomeOf};
use crate::config::schema::scalar::Int;
use crate::config::schema::units::Positive;
use crate::upstream::outlier::{OutlierSpec, PassiveFailure};
use crate::upstream::percent::Percent;

record! {
    "passive health" => struct PassiveText {
        /// Failures in a row that eject a server.
        failures: Int<NonZeroU32, 1, 100> = "5",
        /// All of them must have come within this time.
        window: Positive = "10s",
        /// What counts as a failure.
        on: SomeOf<PassiveFailure> = "[connect, timeout, closed, status_5xx]",
        /// How long the first ejection lasts; each further one, and each probe that fails, twice as long as the one before.
        hold: Positive = "10s",
        /// The longest hold; a server that has been back for as long starts over.
        max_hold: At<Positive> = "5m",
        /// Of the servers in use at most so many are ejected at one time, rounded down.
        max_share: Percent = "50%",
    }
}

choice! {
    "a sign of bad health" => PassiveFailure {
        /// No connection came about.
        connect => Self::Connect,
        /// It was silent for longer than timeouts.read, having all of the request.
        timeout => Self::Timeout,
        /// It closed a new connection without an answer.
        closed => Self::Closed,
        /// It answered with a status of 500 to 599.
        status_5xx => Self::Status5xx,
    }
}

impl PassiveText {
    pub(crate) fn build(self, findings: &mut Findings) -> OutlierSpec {
        let Self { failures, window, on, hold, max_hold, max_share } = self;
        if max_hold.value < hold {
            findings.fault(max_hold.at, format!("{:?} is less than hold ({hold:?})", max_hold.value));
        }
        OutlierSpec { failures, window, on, ejection_time: hold, max_ejection_time: max_hold.value, max_ejected: max_share }
    }
}
