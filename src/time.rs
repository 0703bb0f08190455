//! Instants and dates as plain values. Nothing here reads a clock: the shell reads it once per hook and passes [`Now`]
//! down.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// For dates that leave the process: stamps in tokens.
    pub wall: UnixSeconds,
    /// Milliseconds since the second of `wall` began, for what needs a finer order: see [`Self::date`].
    pub subsec_millis: u16,
    /// For everything that stays inside: a step of the wall clock cannot expire it.
    pub uptime: Uptime,
    /// What the wall clock skipped, so that its step is not taken for time that passed.
    pub skipped: Skipped,
}

/// The dates that the wall clock skipped by steps forward while this process ran: no time passed between them. By default none.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Skipped {
    pub from: UnixSeconds,
    pub to: UnixSeconds,
}

/// A date: whole seconds since 1970-01-01 UTC. Tokens carry it in four bytes, which last until 2106.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u32);

/// A date in milliseconds since 1970-01-01 UTC: fine enough to order decisions that several processes make.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnixMillis(pub u64);

impl Now {
    /// The wall clock in milliseconds.
    pub fn date(self) -> UnixMillis {
        UnixMillis(UnixMillis::from(self.wall).0 + u64::from(self.subsec_millis))
    }
}

impl Skipped {
    pub const NONE: Self = Self { from: UnixSeconds(0), to: UnixSeconds(0) };

    /// A date from before the step, moved by its size: the time from the result to now is the time that passed.
    pub fn shift(self, date: UnixSeconds) -> UnixSeconds {
        if date >= self.to {
            return date;
        }
        UnixSeconds(date.0.saturating_add(self.to.since(self.from))).min(self.to)
    }
}

impl UnixMillis {
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds(u32::try_from(self.0 / 1_000).unwrap_or(u32::MAX))
    }

    /// The next moment.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl From<UnixSeconds> for UnixMillis {
    /// The beginning of the second.
    fn from(date: UnixSeconds) -> Self {
        Self(u64::from(date.0) * 1_000)
    }
}

impl UnixSeconds {
    /// Seconds from `earlier` to this date; a date in the future counts as now, so 0.
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Time since the process started, on the monotonic clock. After an upgrade the new process continues it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Uptime(pub Duration);

impl Uptime {
    /// Time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment plus `span`.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}
