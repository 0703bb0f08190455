//! Counts the connections of a listener, or to other processes, and waits for the last one after accepting has stopped.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

/// How often the wait checks whether the last connection is closed.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long idle connections stay open after accepting has stopped: the newest clients may not have sent their request yet.
pub const LINGER: Duration = Duration::from_secs(1);

/// The number of connections, and whether more may come.
#[derive(Debug, Default)]
pub struct Connections {
    count: Arc<AtomicUsize>,
    closed: AtomicBool,
}

/// One counted connection, until dropped.
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

    /// Accepting has stopped.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Waits at most `timeout` until accepting has stopped and the last connection is closed. A connection is counted a moment
    /// after it was accepted, so two checks in a row must find none.
    pub fn wait_for_the_last(&self, timeout: Duration) {
        let (mut left, mut none_before) = (timeout, false);
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
