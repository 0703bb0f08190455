//! When a name is looked up again. Drawing the jitter and waiting is the shell's work.

use std::time::Duration;

/// Between which times an answer is taken to be good, whatever its records say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    min: Duration,
    max: Duration,
}

/// The lower bound exceeds the upper one, or is zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the shortest time is above zero and at most the longest")]
pub struct InvalidBounds;

/// A share of the time to come that is waited in addition, so that balancers do not ask in step: from 0 to a tenth.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(f64);

/// A name that cannot be looked up is tried again after this time at the latest.
const MOST_PATIENCE: Duration = Duration::from_secs(30);

/// How often a name is asked for that has never been answered for, while listeners wait for it, and how long they do.
const QUICK: Duration = Duration::from_millis(250);
const LISTENERS_WAIT: Duration = Duration::from_secs(3);

impl Jitter {
    /// Takes something drawn evenly from 0 to 1.
    pub fn new(drawn: f64) -> Self {
        Self(drawn.clamp(0.0, 1.0) / 10.0)
    }

    fn on(self, time: Duration) -> Duration {
        time.mul_f64(1.0 + self.0)
    }
}

impl Bounds {
    /// # Errors
    /// [`InvalidBounds`] where `min` is zero or above `max`.
    pub fn new(min: Duration, max: Duration) -> Result<Self, InvalidBounds> {
        if min.is_zero() || min > max { Err(InvalidBounds) } else { Ok(Self { min, max }) }
    }

    /// From an answer whose records live for `ttl` to the next look-up: never before they have expired, unless the upper bound
    /// says so, and at most a tenth later.
    pub fn after_answer(self, ttl: Duration, jitter: Jitter) -> Duration {
        jitter.on(ttl.clamp(self.min, self.max))
    }

    /// From the last of so many failures in a row to the next look-up: twice as long each time, from the lower bound to 30
    /// seconds, or to the upper bound if that is shorter.
    pub fn after_failures(self, failures: u32, jitter: Jitter) -> Duration {
        let doubled = self.min.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        jitter.on(doubled.min(MOST_PATIENCE.min(self.max).max(self.min)))
    }

    /// From a failure to the next look-up, where nothing has ever been found and listeners wait, `waited` since the start; None
    /// once they have waited enough. The name servers of containers begin with these, and deny for a moment what they do not know
    /// yet: sessions of servers that are not known by then would be moved.
    pub fn before_first_answer(self, waited: Duration, jitter: Jitter) -> Option<Duration> {
        (waited < LISTENERS_WAIT).then(|| jitter.on(QUICK.min(self.min)))
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(300) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Jitter = Jitter(0.0);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_is_good_for_its_time_to_live_within_the_bounds() {
        let bounds = Bounds::new(seconds(2), seconds(60)).unwrap();
        for (ttl, wait) in [(0, 2), (1, 2), (30, 30), (60, 60), (86_400, 60)] {
            assert_eq!(bounds.after_answer(seconds(ttl), NONE), seconds(wait), "{ttl}");
        }
    }

    #[test]
    fn failures_in_a_row_are_tried_again_ever_more_rarely() {
        let waits =
            |bounds: Bounds| [1, 2, 3, 4, 5, 6, 7, 99].map(|failures| bounds.after_failures(failures, NONE).as_secs());
        assert_eq!(waits(Bounds::default()), [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(waits(Bounds::new(seconds(3), seconds(10)).unwrap()), [3, 6, 10, 10, 10, 10, 10, 10]);
        assert_eq!(waits(Bounds::new(seconds(60), seconds(90)).unwrap()), [60; 8]);
    }

    #[test]
    fn before_its_first_answer_a_name_is_asked_for_quickly_while_listeners_wait() {
        let quick = Duration::from_millis(250);
        let bounds = Bounds::default();
        assert_eq!(bounds.before_first_answer(Duration::ZERO, NONE), Some(quick));
        assert_eq!(bounds.before_first_answer(seconds(3) - quick, NONE), Some(quick));
        assert_eq!(bounds.before_first_answer(seconds(3), NONE), None);
        let often = Bounds::new(Duration::from_millis(20), seconds(1)).unwrap();
        assert_eq!(often.before_first_answer(Duration::ZERO, NONE), Some(Duration::from_millis(20)));
    }

    #[test]
    fn bounds_are_in_order() {
        assert_eq!(Bounds::new(Duration::ZERO, seconds(1)), Err(InvalidBounds));
        assert_eq!(Bounds::new(seconds(2), seconds(1)), Err(InvalidBounds));
        assert!(Bounds::new(seconds(1), seconds(1)).is_ok());
    }

    proptest! {
        #[test]
        fn no_wait_leaves_the_bounds_by_more_than_a_tenth(
            min in 1_u64..1_000, more in 0_u64..1_000, ttl: u32, failures: u32, drawn in -1.0..2.0
        ) {
            let (min, max) = (seconds(min), seconds(min + more));
            let bounds = Bounds::new(min, max).unwrap();
            for wait in [bounds.after_answer(seconds(ttl.into()), Jitter::new(drawn)), bounds.after_failures(failures, Jitter::new(drawn))] {
                prop_assert!(wait >= min && wait <= max.mul_f64(1.1), "{wait:?}");
            }
        }
    }
}
