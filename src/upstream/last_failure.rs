//! The last failure at a server, for operators. It decides nothing.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::outlier::Attempt;
use super::retry::Failure;
use crate::time::Uptime;

/// A failure at a server, and when it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LastFailure {
    pub reason: FailureReason,
    pub at: Uptime,
}

/// What failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureReason {
    /// A request could not connect.
    Connect,
    /// The server closed the connection without an answer.
    Closed,
    /// It did not answer a request in time.
    Timeout,
    /// It answered with this status of 500 to 599.
    Status(StatusCode),
    /// Its answer was invalid, or the connection failed in another way.
    Other,
    /// It failed a health check.
    HealthCheck,
}

/// The last failure in one word, so that requests can record it without a lock: the seconds of uptime, and below them 16 bits for the
/// reason. Zero: none.
#[derive(Debug, Default)]
pub(super) struct FailureCell(AtomicU64);

/// The value of a cell, for a process upgrade.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct FailureHandoff(u64);

impl FailureReason {
    /// None if the attempt did not fail, or if that says nothing of the server.
    pub(super) fn of(attempt: Attempt) -> Option<Self> {
        match attempt {
            Attempt::Answered(status) | Attempt::Failed(Failure::Status(status)) => {
                status.is_server_error().then_some(Self::Status(status))
            }
            Attempt::Failed(Failure::Connect) => Some(Self::Connect),
            Attempt::Failed(Failure::Closed) => Some(Self::Closed),
            Attempt::Failed(Failure::Timeout) => Some(Self::Timeout),
            Attempt::Failed(Failure::Other) => Some(Self::Other),
            Attempt::Failed(Failure::Stale | Failure::Shortage) => None,
        }
    }

    fn code(self) -> u16 {
        match self {
            Self::Connect => 1,
            Self::Closed => 2,
            Self::Timeout => 3,
            Self::Other => 4,
            Self::HealthCheck => 5,
            Self::Status(status) => status.as_u16(),
        }
    }

    fn decode(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Connect),
            2 => Some(Self::Closed),
            3 => Some(Self::Timeout),
            4 => Some(Self::Other),
            5 => Some(Self::HealthCheck),
            status => StatusCode::from_u16(status).ok().map(Self::Status),
        }
    }
}

impl std::fmt::Display for FailureReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Closed => f.write_str("closed"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Other => f.write_str("invalid answer"),
            Self::HealthCheck => f.write_str("health check"),
        }
    }
}

impl FailureCell {
    pub(super) fn record(&self, reason: FailureReason, at: Uptime) {
        self.0.store(at.0.as_secs() << 16 | u64::from(reason.code()), Relaxed);
    }

    pub(super) fn get(&self) -> Option<LastFailure> {
        let value = self.0.load(Relaxed);
        let reason = FailureReason::decode((value & 0xffff) as u16)?;
        Some(LastFailure { reason, at: Uptime(Duration::from_secs(value >> 16)) })
    }

    pub(super) fn handoff(&self) -> FailureHandoff {
        FailureHandoff(self.0.load(Relaxed))
    }

    pub(super) fn inherit(&self, handoff: FailureHandoff) {
        self.0.store(handoff.0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_kept_with_its_reason_and_second() {
        let cell = FailureCell::default();
        assert_eq!(cell.get(), None);
        let at = Uptime(Duration::from_secs(5_000_000_000));
        for reason in [
            FailureReason::Connect,
            FailureReason::Closed,
            FailureReason::Timeout,
            FailureReason::Status(StatusCode::SERVICE_UNAVAILABLE),
            FailureReason::Other,
            FailureReason::HealthCheck,
        ] {
            cell.record(reason, at);
            assert_eq!(cell.get(), Some(LastFailure { reason, at }));
        }
    }
}
