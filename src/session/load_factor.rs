//! How unevenly sessions may be spread. Both a sticky hash and the balance of an upstream are configured with it, and `sticky`
//! and `upstream` must not use each other, so it is defined here.

/// How far above its fair share a server may be loaded, in hundredths: above 100 (HAProxy's `hash-balance-factor`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoadFactor(u32);

/// A load factor that is not above 1 or is above 100.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a load factor is a number above 1 and at most 100, such as 1.25")]
pub struct InvalidLoadFactor;

impl LoadFactor {
    /// Creates a load factor from a number such as 1.25.
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

    /// Whether a server with this weight and this many requests in flight may take one more, given `total` requests in flight
    /// at servers with the summed `weights`: bounded-load consistent hashing (Mirrokni, Thorup and Zadimoghaddam, 2016), each server's bound
    /// rounded up.
    pub(crate) fn admits(self, in_flight: u32, weight: u32, total: u64, weights: u64) -> bool {
        let scaled = (total + 1) * u64::from(weight) * u64::from(self.0);
        let bound = scaled.div_ceil(weights.max(1) * 100);
        u64::from(in_flight) < bound
    }
}
