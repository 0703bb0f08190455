//! Instants and dates as plain values. Nothing here reads a clock: the shell reads it once per hook and passes [`Now`]
//! down.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// For dates that leave the process: stamps in tokens.
    pub wall: UnixSeconds,
    /// For everything that stays inside: a step of the wall clock cannot expire it.
    pub uptime: Uptime,
}

/// A date: whole seconds since 1970-01-01 UTC. Tokens carry it in four bytes, which last until 2106.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u32);

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
