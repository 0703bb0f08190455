//! Waiting for a condition, with a deadline instead of a hopeful sleep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough for a debug build on a busy machine; a healthy test never gets near it.
const DEADLINE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` holds.
///
/// # Panics
/// When the deadline has passed; the message says what was waited for.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}

/// Waits until `find` finds something.
pub fn eventually<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(PAUSE);
    }
}

/// Raises a flag when it is dropped: threads that go on until then end also where the test fails, which would otherwise wait for
/// them for ever.
pub struct Raised<'f>(pub &'f AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
