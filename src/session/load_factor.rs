//! How unevenly sessions may be spread. It stands here because both a sticky hash and the balance of an upstream are configured
//! with it, `sticky` and `upstream` must not use each other, and what it bounds is where sessions are placed.

/// How far above its fair share a server may be loaded, in hundredths: above 100 (HAProxy's `hash-balance-factor`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoadFactor(u32);

/// A load factor that is not above 1 or is above 100.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a load factor is a number above 1 and at most 100, such as 1.25")]
pub struct InvalidLoadFactor;

impl LoadFactor {
    /// Takes a factor such as 1.25.
    ///
    /// # Errors
    /// [`InvalidLoadFactor`] unless it is above 1 and at most 100.
    pub fn new(factor: f64) -> Result<Self, InvalidLoadFactor> {
        let hundredths = (factor * 100.0).round();
        if factor.is_finite() && (101.0..=10_000.0).contains(&hundredths) {
            Ok(Self(hundredths as u32))
        } else {
            Err(InvalidLoadFactor)
        }
    }

    /// Whether a server of this weight with so many requests in flight may take one more, when `total` are in flight at servers
    /// of `weights` in all: bounded-load consistent hashing (Mirrokni, Thorup and Zadimoghaddam, 2016), each server's bound
    /// rounded up.
    pub(crate) fn admits(self, in_flight: u32, weight: u32, total: u64, weights: u64) -> bool {
        let share = (total + 1) * u64::from(weight) * u64::from(self.0);
        let bound = share.div_ceil(weights.max(1) * 100);
        u64::from(in_flight) < bound
    }
}
