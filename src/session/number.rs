//! The number of a session: the name that Burdock gives it.

use std::fmt;

use rand_core::CryptoRng;

/// The name of a session: random, made once, kept through renewals and moves. It places the session on the ring and must not
/// be logged, so `Debug` hides it.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SessionNumber(pub u64);

impl SessionNumber {
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(rng.next_u64())
    }
}

impl fmt::Debug for SessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionNumber(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_a_session_number() {
        assert_eq!(format!("{:?}", SessionNumber(4711)), "SessionNumber(hidden)");
    }
}
