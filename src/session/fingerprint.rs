//! What a table keeps in place of a session's name: 128 bits of a keyed hash. Whoever reads a table, its journal or a list
//! learns no name, and without the key nobody can look for names that share a place in the table.

use std::fmt;
use std::str::FromStr;

/// A session's name as a table knows it. Does not show itself: lists show its [`Fingerprint::prefix`].
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 16]);

/// The beginning of a fingerprint, in hexadecimal digits: how a list names a session, and how one is looked for in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefix {
    bits: u128,
    digits: u8,
}

/// Why a text is not the beginning of a fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the beginning of a fingerprint is 1 to 32 hexadecimal digits")]
pub struct InvalidPrefix;

impl Fingerprint {
    /// A fingerprint that was stored.
    pub fn from_octets(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// For storing it, and as the session's name on the ring.
    pub fn octets(self) -> [u8; 16] {
        self.0
    }

    /// Its first eight hexadecimal digits: enough to tell the sessions of a list apart, too few to be the fingerprint.
    pub fn prefix(self) -> Prefix {
        Prefix { bits: self.bits() >> 96, digits: 8 }
    }

    /// Its first half: no two sessions of a table share it but by a chance of one in millions, and it is still not the
    /// fingerprint. For whoever is to name one session.
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
    /// The smallest and the largest first octet of the fingerprints that begin so.
    pub(crate) fn first_octets(self) -> (u8, u8) {
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
    fn a_prefix_is_hexadecimal() {
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
            let (low, high) = prefix.first_octets();
            prop_assert!((low..=high).contains(&fingerprint.octets()[0]));
            let as_text = format!("{other:032x}").starts_with(&text[..digits]);
            prop_assert_eq!(Fingerprint::from_bits(other).starts_with(prefix), as_text);
        }
    }
}
