//! The one place that reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burdock::session::clock_steps::{ClockSteps, StepsHandoff};
use burdock::time::{Now, Skipped, UnixMillis, UnixSeconds, Uptime};

/// The process's clocks: wall time for dates, and time since the start for everything else.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    started: Instant,
    /// Leaked, so that a clock can be copied: there is one per process.
    steps: &'static ClockSteps,
}

/// The time on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub uptime: Uptime,
    /// Time since 1970; zero if the host's clock is before that.
    pub wall: Duration,
    /// What the wall clock has skipped.
    pub skipped: Skipped,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        let now = Instant::now();
        Self { origin: now, started: now, steps: Box::leak(Box::default()) }
    }

    /// Continues the uptime of the previous process, which knows of these steps of the wall clock.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn after(before: Uptime, steps: StepsHandoff) -> Self {
        let (now, steps) = (Instant::now(), Box::leak(Box::new(ClockSteps::after(steps))));
        Self { origin: now.checked_sub(before.0).unwrap_or(now), started: now, steps }
    }

    /// The steps of the wall clock, for the next process.
    pub fn steps(&self) -> StepsHandoff {
        self.steps.handoff()
    }

    /// The age of this process.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn age(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn moment(&self) -> Moment {
        let (uptime, wall) = (self.uptime(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let skipped = self.steps.observe(UnixMillis(wall.as_millis() as u64), uptime);
        Moment { uptime, wall, skipped }
    }

    /// The current time, after `earlier`. It reads only one clock: a request does not need to see changes of the wall clock.
    pub fn moment_after(&self, earlier: Moment) -> Moment {
        let uptime = self.uptime();
        Moment { uptime, wall: earlier.wall + uptime.since(earlier.uptime), skipped: earlier.skipped }
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
            skipped: self.skipped,
        }
    }
}
