//! How long a request has waited for places at full servers. Who waits there before it, and when there is a place, the server's
//! queue knows; who ends the wait, the shell.

use std::time::Duration;

use crate::time::{Now, Uptime};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wait {
    /// In all; none where it did not wait.
    spent: Option<Duration>,
    /// Since when it waits now.
    since: Option<Uptime>,
}

impl Wait {
    pub(super) fn spent(self) -> Option<Duration> {
        self.spent
    }

    /// What is left of the time that the request may wait.
    pub(super) fn left(self, timeout: Duration) -> Option<Duration> {
        timeout.checked_sub(self.spent.unwrap_or_default()).filter(|left| !left.is_zero())
    }

    /// Begins to wait for so long, and tells until when.
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
