//! What a table stores instead of a session's name: 128 bits of a keyed hash. A table, its journal and its lists reveal no names,
//! and without the key a client cannot search for names that collide in the table.

use std::fmt;
use std::str::FromStr;

/// A session's name as a table stores it. `Debug` hides it; lists show its [`Fingerprint::prefix`].
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 16]);

/// The beginning of a fingerprint, in hexadecimal digits. Lists name and find sessions by it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefix {
    bits: u128,
    digits: u8,
}

/// The text is not a fingerprint prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fingerprint prefix is 1 to 32 hexadecimal digits")]
pub struct InvalidPrefix;

impl Fingerprint {
    /// Reads a stored fingerprint.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for storage and for the session's place on the ring.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Its first eight hexadecimal digits: enough to tell the sessions of a list apart, too few to reveal the fingerprint.
    pub fn prefix(self) -> Prefix {
        Prefix { bits: self.bits() >> 96, digits: 8 }
    }

    /// Its first half, to name a single session: the chance that two sessions of a table share it is one in millions, and it
    /// still does not reveal the fingerprint.
    pub fn half(self) -> Prefix {
        Prefix { bits: self.bits() >> 64, digits: 16 }
    }

    pub fn starts_with(self, prefix: Prefix) -> bool {
        self.bits() >> (128 - 4 * u32::from(prefix.digits)) == prefix.bits
    }

    pub(crate) fn bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    pub(crate) fn from_bits(bits: u128) -> Self {
        Self(bits.to_be_bytes())
    }
}

impl Prefix {
    /// The smallest and the largest first byte of the fingerprints with this prefix.
    pub(crate) fn first_bytes(self) -> (u8, u8) {
        let missing = 128 - 4 * u32::from(self.digits);
        let low = self.bits << missing;
        let high = low | 1_u128.checked_shl(missing).map_or(0, |one| one - 1);
        (low.to_be_bytes()[0], high.to_be_bytes()[0])
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        if !(1..=32).contains(&text.len()) || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(InvalidPrefix);
        }
        let bits = u128::from_str_radix(text, 16).map_err(|_| InvalidPrefix)?;
        u8::try_from(text.len()).map(|digits| Self { bits, digits }).map_err(|_| InvalidPrefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.bits, width = usize::from(self.digits))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prefix_is_1_to_32_hexadecimal_digits() {
        for text in ["", "g", "0x12", "+1", "é", &"0".repeat(33)] {
            assert_eq!(text.parse::<Prefix>(), Err(InvalidPrefix), "{text}");
        }
        assert_eq!("00aB".parse::<Prefix>().unwrap().to_string(), "00ab");
    }

    proptest! {
        #[test]
        fn a_fingerprint_starts_with_each_of_its_prefixes(bits: u128, digits in 1_usize..=32, other: u128) {
            let text = format!("{bits:032x}");
            let prefix: Prefix = text[..digits].parse().unwrap();
            let fingerprint = Fingerprint::from_bits(bits);
            prop_assert!(fingerprint.starts_with(prefix));
            let (low, high) = prefix.first_bytes();
            prop_assert!((low..=high).contains(&fingerprint.bytes()[0]));
            let as_text = format!("{other:032x}").starts_with(&text[..digits]);
            prop_assert_eq!(Fingerprint::from_bits(other).starts_with(prefix), as_text);
        }
    }
}
