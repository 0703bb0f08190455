//! The one place that reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burdock::time::{Now, UnixSeconds, Uptime};

/// The process's clocks: wall time for dates, and time since the start for everything else.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    started: Instant,
}

/// The time on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub uptime: Uptime,
    /// Time since 1970; zero if the host's clock is before that.
    pub wall: Duration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        let now = Instant::now();
        Self { origin: now, started: now }
    }

    /// Continues the uptime of the previous process.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn after(before: Uptime) -> Self {
        let now = Instant::now();
        Self { origin: now.checked_sub(before.0).unwrap_or(now), started: now }
    }

    /// The age of this process.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn age(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn moment(&self) -> Moment {
        Moment { uptime: self.uptime(), wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// The current time, after `earlier`. It reads only one clock: a request does not need to see changes of the wall clock.
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
    /// The time in the core's type.
    pub fn now(self) -> Now {
        Now {
            wall: UnixSeconds(u32::try_from(self.wall.as_secs()).unwrap_or(u32::MAX)),
            subsec_millis: self.wall.subsec_millis() as u16,
            uptime: self.uptime,
        }
    }
}
