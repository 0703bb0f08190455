//! When a name is looked up again. The shell draws the jitter and waits.

use std::time::Duration;

/// The minimum and maximum time that an answer is valid, whatever the TTL of its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    min: Duration,
    max: Duration,
}

/// The minimum is zero or above the maximum.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the minimum must be above zero and at most the maximum")]
pub struct InvalidBounds;

/// An extra fraction of each wait, from 0 to a tenth, so that balancers do not query at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(f64);

/// The longest time between retries of a failed lookup.
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// How often a name without any answer is looked up while listeners wait for it, and how long they wait.
const STARTUP_INTERVAL: Duration = Duration::from_millis(250);
const STARTUP_TIMEOUT: Duration = Duration::from_secs(3);

impl Jitter {
    /// From a number drawn uniformly from 0 to 1.
    pub fn new(drawn: f64) -> Self {
        Self(drawn.clamp(0.0, 1.0) / 10.0)
    }

    fn on(self, time: Duration) -> Duration {
        time.mul_f64(1.0 + self.0)
    }
}

impl Bounds {
    /// # Errors
    /// [`InvalidBounds`] if `min` is zero or above `max`.
    pub fn new(min: Duration, max: Duration) -> Result<Self, InvalidBounds> {
        if min.is_zero() || min > max { Err(InvalidBounds) } else { Ok(Self { min, max }) }
    }

    /// The time from an answer with this TTL to the next lookup: never before the records expire, except for the
    /// maximum, and at most a tenth later.
    pub fn after_answer(self, ttl: Duration, jitter: Jitter) -> Duration {
        jitter.on(ttl.clamp(self.min, self.max))
    }

    /// The time from the last of this many failures in a row to the next lookup. It doubles each time, from the minimum
    /// to 30 seconds, or to the maximum if that is shorter.
    pub fn after_failures(self, failures: u32, jitter: Jitter) -> Duration {
        let doubled = self.min.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        jitter.on(doubled.min(MAX_RETRY_INTERVAL.min(self.max).max(self.min)))
    }

    /// The time from a failure to the next lookup while listeners wait for a first answer, `waited` since the start;
    /// None when they have waited long enough. The DNS server of a container platform starts together with the
    /// containers and at first denies names that it does not know yet. Without this wait, sessions of servers not found
    /// yet would move.
    pub fn before_first_answer(self, waited: Duration, jitter: Jitter) -> Option<Duration> {
        (waited < STARTUP_TIMEOUT).then(|| jitter.on(STARTUP_INTERVAL.min(self.min)))
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
    fn an_answer_is_valid_for_its_ttl_within_the_bounds() {
        let bounds = Bounds::new(seconds(2), seconds(60)).unwrap();
        for (ttl, wait) in [(0, 2), (1, 2), (30, 30), (60, 60), (86_400, 60)] {
            assert_eq!(bounds.after_answer(seconds(ttl), NONE), seconds(wait), "{ttl}");
        }
    }

    #[test]
    fn failed_lookups_are_retried_with_backoff() {
        let waits =
            |bounds: Bounds| [1, 2, 3, 4, 5, 6, 7, 99].map(|failures| bounds.after_failures(failures, NONE).as_secs());
        assert_eq!(waits(Bounds::default()), [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(waits(Bounds::new(seconds(3), seconds(10)).unwrap()), [3, 6, 10, 10, 10, 10, 10, 10]);
        assert_eq!(waits(Bounds::new(seconds(60), seconds(90)).unwrap()), [60; 8]);
    }

    #[test]
    fn a_first_lookup_is_retried_quickly_while_listeners_wait() {
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
        fn waits_exceed_the_bounds_by_at_most_a_tenth(
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
