//! The one place that reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burdock::time::{Now, UnixSeconds, Uptime};

/// The process's clocks: wall time for dates, and time since the start for everything else.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(&self) -> Now {
        Now { wall: UnixSeconds(u32::try_from(self.wall().as_secs()).unwrap_or(u32::MAX)), uptime: self.uptime() }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn uptime(&self) -> Uptime {
        Uptime(Instant::now().saturating_duration_since(self.0))
    }

    /// Time since 1970, for log lines; zero if the machine's clock stands before that.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
