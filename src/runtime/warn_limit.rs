//! A limit on how often one kind of warning is logged, so that what clients or a shortage can cause does not fill the log.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use burdock::time::Uptime;

/// Shortest time between two warnings of a kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// When a kind of warning may be logged again, and how many were left out since the last one.
#[derive(Debug, Default)]
pub struct WarnLimit {
    /// In milliseconds of uptime.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl WarnLimit {
    /// Calls `log` with the number of warnings that were left out before, unless it is too early for another.
    pub fn warn(&self, now: Uptime, log: impl FnOnce(u64)) {
        let now = now.0.as_millis() as u64;
        let next = self.next.load(Relaxed);
        let is_due = now >= next;
        let until = now + INTERVAL.as_millis() as u64;
        if is_due && self.next.compare_exchange(next, until, Relaxed, Relaxed).is_ok() {
            log(self.left_out.swap(0, Relaxed));
        } else {
            self.left_out.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_warning_is_logged_once_in_ten_seconds_with_a_count() {
        let limit = WarnLimit::default();
        let logged = std::cell::RefCell::new(Vec::new());
        for seconds in [0, 1, 2, 9, 10, 11, 30] {
            limit.warn(Uptime(Duration::from_secs(seconds)), |left_out| logged.borrow_mut().push((seconds, left_out)));
        }
        assert_eq!(*logged.borrow(), [(0, 0), (10, 3), (30, 1)]);
    }
}
