//! How many connections there are at a listener, or to other processes, and how the last of them is waited for when no more come.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

/// How often it is looked whether the last connection is gone.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// So long connections on which nothing is under way stay open when nothing is accepted any more: whoever came last may not
/// have sent his request yet.
pub const LINGER: Duration = Duration::from_secs(1);

/// How many there are, and whether there will be more.
#[derive(Debug, Default)]
pub struct Connections {
    count: Arc<AtomicUsize>,
    closed: AtomicBool,
}

/// One of them, until dropped.
#[derive(Debug)]
pub struct Counted(Arc<AtomicUsize>);

impl Connections {
    pub fn enter(&self) -> Counted {
        self.count.fetch_add(1, Relaxed);
        Counted(Arc::clone(&self.count))
    }

    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// No more are accepted.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Waits until no more are accepted and the last is gone, so long at most. One that was accepted at the end is counted a
    /// moment later, so there must be none twice.
    pub fn wait_for_the_last(&self, at_most: Duration) {
        let (mut left, mut none_before) = (at_most, false);
        while !left.is_zero() {
            let none = self.closed.load(Relaxed) && self.count() == 0;
            if none && none_before {
                return;
            }
            none_before = none;
            std::thread::sleep(POLL_INTERVAL);
            left = left.saturating_sub(POLL_INTERVAL);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
