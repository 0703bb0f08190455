//! The one place that reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burdock::time::{Now, UnixSeconds, Uptime};

/// The process's clocks: wall time for dates, and time since the start for everything else.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    begun: Instant,
}

/// What both clocks showed.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub uptime: Uptime,
    /// Time since 1970; zero if the machine's clock stands before that.
    pub wall: Duration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        let now = Instant::now();
        Self { origin: now, begun: now }
    }

    /// Goes on with the uptime of the process before this one.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn after(before: Uptime) -> Self {
        let now = Instant::now();
        Self { origin: now.checked_sub(before.0).unwrap_or(now), begun: now }
    }

    /// How long there has been this very process.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn age(&self) -> Duration {
        Instant::now().saturating_duration_since(self.begun)
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn moment(&self) -> Moment {
        Moment { uptime: self.uptime(), wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Now, after `earlier`. Only one clock is read: within a request nobody needs to see the other one being set.
    pub fn moment_after(&self, earlier: Moment) -> Moment {
        let uptime = self.uptime();
        Moment { uptime, wall: earlier.wall + uptime.since(earlier.uptime) }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn uptime(&self) -> Uptime {
        Uptime(Instant::now().saturating_duration_since(self.origin))
    }
}

impl Moment {
    /// As the core takes it.
    pub fn now(self) -> Now {
        Now { wall: UnixSeconds(u32::try_from(self.wall.as_secs()).unwrap_or(u32::MAX)), uptime: self.uptime }
    }
}
