//! A server's weight, and its effective weight during a slow start. It knows numbers, not servers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A server's share of new sessions relative to the other servers: 0 to 256. With 0 it keeps its sessions and gets no
/// new ones.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// A weight above [`Weight::MAX`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a weight is a whole number from 0 to {}", Weight::MAX)]
pub struct InvalidWeight;

/// Effective weights are in hundredths, because they grow by less than one at a time.
const UNIT: u64 = 100;
/// The lowest effective weight during a slow start: a tenth of one unit, so that the server gets some sessions.
const MIN_WEIGHT: u64 = 10;

/// The effective weight in hundredths, `since` the server came up, with a slow start of duration `over`.
pub(super) fn ramped(weight: u32, since: Duration, over: Duration) -> u64 {
    let full = u64::from(weight) * UNIT;
    if since >= over {
        return full;
    }
    let grown = u128::from(full) * since.as_micros() / over.as_micros().max(1);
    (grown as u64).max(MIN_WEIGHT.min(full))
}

/// The full weight, in hundredths.
pub(super) fn full(weight: u32) -> u64 {
    u64::from(weight) * UNIT
}

impl Weight {
    pub const MAX: u16 = 256;
    pub const ONE: Self = Self(1);

    /// A weight of 0 to 256.
    ///
    /// # Errors
    /// [`InvalidWeight`] above that.
    pub fn new(weight: u16) -> Result<Self, InvalidWeight> {
        if weight > Self::MAX { Err(InvalidWeight) } else { Ok(Self(weight)) }
    }

    pub fn get(self) -> u32 {
        u32::from(self.0)
    }
}

impl TryFrom<u16> for Weight {
    type Error = InvalidWeight;

    fn try_from(weight: u16) -> Result<Self, InvalidWeight> {
        Self::new(weight)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

/// The greatest common divisor.
pub(super) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_grows_linearly_from_a_tenth_of_one_unit() {
        let over = Duration::from_secs(30);
        let after = |seconds| ramped(2, Duration::from_secs(seconds), over);
        assert_eq!([0, 1, 15, 29, 30, 31].map(after), [10, 10, 100, 193, 200, 200]);
        assert_eq!(ramped(0, Duration::ZERO, over), 0, "a weight of 0 stays 0");
        assert_eq!(ramped(256, Duration::from_micros(1), over), 10);
    }
}
