//! What a table keeps in place of a session's name: 128 bits of a keyed hash. Whoever reads a table, its journal or a list
//! learns no name, and without the key nobody can look for names that share a place in the table.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::session::secret::{InvalidKey, Secret};

const ID_LABEL: &[u8] = b"burdock session table v1 key id\0";

/// The secret that fingerprints are made with. It is none of the keys that tokens are sealed with and is not rotated with
/// them: under another key every learned session is unknown. Balancers that are to place names alike share it. Shows its id,
/// never itself.
pub struct FingerprintKey(Secret);

/// What is written beside stored fingerprints to tell under which key they were made. It says nothing of the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FingerprintKeyId(pub [u8; 8]);

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

impl FingerprintKey {
    /// Takes a key from the text of its file, as [`Key::parse`](crate::token::keys::Key::parse) does.
    ///
    /// # Errors
    /// [`InvalidKey`] says what is wrong, without repeating the text.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        Secret::parse(text).map(Self)
    }

    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::generate(rng))
    }

    /// The secret itself, for its file: 43 characters of base64url. [`FingerprintKey::parse`] reads it.
    pub fn to_text(&self) -> Zeroizing<String> {
        self.0.to_text()
    }

    pub fn id(&self) -> FingerprintKeyId {
        let Fingerprint([a, b, c, d, e, f, g, h, ..]) = self.fingerprint(ID_LABEL);
        FingerprintKeyId([a, b, c, d, e, f, g, h])
    }

    /// The fingerprint of a name: the first 128 bits of BLAKE3 keyed with the secret.
    pub fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        let hash = blake3::keyed_hash(self.0.octets(), name);
        let mut octets = [0; 16];
        octets.copy_from_slice(&hash.as_bytes()[..16]);
        Fingerprint(octets)
    }
}

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

impl fmt::Display for FingerprintKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FingerprintKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn key() -> FingerprintKey {
        FingerprintKey::parse(HEX).unwrap()
    }

    /// Key and values are those of the test vectors that BLAKE3's authors publish.
    #[test]
    fn a_fingerprint_is_the_keyed_hash_and_does_not_drift() {
        let key = FingerprintKey::parse("77686174732074686520456c7669736820776f726420666f7220667269656e64").unwrap();
        assert_eq!(key.fingerprint(&[]).bits(), 0x92b2_b756_04ed_3c76_1f9d_6f62_392c_8a92);
        assert_eq!(key.fingerprint(&[0]).bits(), 0x6d78_78df_ff2f_4856_35d3_9013_278a_e14f);
        assert_eq!(key.id().to_string(), "93481f276fc07e98");
    }

    #[test]
    fn another_key_gives_other_fingerprints() {
        let other = FingerprintKey::parse(&HEX.replace("1f", "20")).unwrap();
        assert_ne!(key().fingerprint(b"12345678"), other.fingerprint(b"12345678"));
        assert_ne!(key().id(), other.id());
    }

    #[test]
    fn neither_a_key_nor_a_fingerprint_shows_itself() {
        assert_eq!(format!("{:?}", key()), format!("FingerprintKey({})", key().id()));
        assert_eq!(format!("{:?}", key().fingerprint(b"12345678")), "Fingerprint(hidden)");
        assert_eq!(key().fingerprint(b"12345678").prefix().to_string().len(), 8);
        assert_eq!(key().fingerprint(b"12345678").half().to_string().len(), 16);
    }

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
