//! How many answers of each class of status a server gave. A request only adds to a counter.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use ::http::StatusCode;

/// A class of statuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StatusClass {
    Informational,
    Success,
    Redirection,
    ClientError,
    ServerError,
}

/// The counters of a server.
#[derive(Debug, Default)]
pub(super) struct AnswerCounts([AtomicU64; StatusClass::ALL.len()]);

impl StatusClass {
    pub const ALL: [Self; 5] = [Self::Informational, Self::Success, Self::Redirection, Self::ClientError, Self::ServerError];

    /// The class of a status. Statuses above 599 are no answer that a client could use, so they count as errors of the server.
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            0..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }

    /// Its place in [`Self::ALL`].
    const fn index(self) -> usize {
        self as usize
    }
}

impl AnswerCounts {
    pub(super) fn add(&self, status: StatusCode) {
        self.0[StatusClass::of(status).index()].fetch_add(1, Relaxed);
    }

    pub(super) fn get(&self, class: StatusClass) -> u64 {
        self.0[class.index()].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_counts_in_its_class() {
        let counts = AnswerCounts::default();
        for status in [101, 200, 204, 302, 404, 429, 499, 500, 503, 599, 999] {
            counts.add(StatusCode::from_u16(status).unwrap());
        }
        assert_eq!(StatusClass::ALL.map(|class| counts.get(class)), [1, 2, 1, 3, 4]);
        assert!(StatusClass::ALL.iter().enumerate().all(|(at, class)| class.index() == at));
    }
}
