//! How long a request has waited at full servers. It knows no queue: the server's queue knows the order and the slots, and
//! the shell does the waiting.

use std::time::Duration;

use crate::time::{Now, Uptime};

/// The waiting time of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wait {
    /// In total. None if it did not wait.
    spent: Option<Duration>,
    /// The start of the current wait.
    since: Option<Uptime>,
}

impl Wait {
    pub(super) fn spent(self) -> Option<Duration> {
        self.spent
    }

    /// The rest of `timeout` that the request may still wait.
    pub(super) fn left(self, timeout: Duration) -> Option<Duration> {
        timeout.checked_sub(self.spent.unwrap_or_default()).filter(|left| !left.is_zero())
    }

    /// Begins a wait of at most `timeout`, and returns its end.
    pub(super) fn begin(&mut self, now: Now, timeout: Duration) -> Uptime {
        self.since = Some(now.uptime);
        now.uptime.plus(timeout)
    }

    pub(super) fn end(&mut self, now: Now) {
        if let Some(since) = self.since.take() {
            self.spent = Some(self.spent.unwrap_or_default() + now.uptime.since(since));
        }
    }
}
