//! The key of the fingerprints.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use super::secret::{InvalidKey, Secret};

const ID_LABEL: &[u8] = b"burdock session table v1 key id\0";

/// The secret key of the fingerprints. It is separate from the keys that seal tokens and is not rotated with them: under another
/// key every learned session is unknown. Balancers that should place names alike share it. `Debug` shows only its id.
pub struct FingerprintKey(Secret);

/// Stored next to fingerprints to identify their key. It reveals nothing about the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FingerprintKeyId(pub [u8; 8]);

impl FingerprintKey {
    /// Parses a key from the text of its file, as [`Key::parse`](crate::token::keys::Key::parse) does.
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
        let [a, b, c, d, e, f, g, h, ..] = self.fingerprint(ID_LABEL).bytes();
        FingerprintKeyId([a, b, c, d, e, f, g, h])
    }

    /// The fingerprint of a name: the first 128 bits of BLAKE3 keyed with the secret.
    pub fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        let hash = blake3::keyed_hash(self.0.bytes(), name);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        Fingerprint::from_bytes(bytes)
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

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn key() -> FingerprintKey {
        FingerprintKey::parse(HEX).unwrap()
    }

    /// Key and values are the official BLAKE3 test vectors.
    #[test]
    fn a_fingerprint_is_the_blake3_keyed_hash() {
        let key = FingerprintKey::parse("77686174732074686520456c7669736820776f726420666f7220667269656e64").unwrap();
        assert_eq!(key.fingerprint(&[]).bits(), 0x92b2_b756_04ed_3c76_1f9d_6f62_392c_8a92);
        assert_eq!(key.fingerprint(&[0]).bits(), 0x6d78_78df_ff2f_4856_35d3_9013_278a_e14f);
        assert_eq!(key.id().to_string(), "93481f276fc07e98");
    }

    #[test]
    fn different_keys_give_different_fingerprints() {
        let other = FingerprintKey::parse(&HEX.replace("1f", "20")).unwrap();
        assert_ne!(key().fingerprint(b"12345678"), other.fingerprint(b"12345678"));
        assert_ne!(key().id(), other.id());
    }

    #[test]
    fn debug_output_hides_keys_and_fingerprints() {
        assert_eq!(format!("{:?}", key()), format!("FingerprintKey({})", key().id()));
        assert_eq!(format!("{:?}", key().fingerprint(b"12345678")), "Fingerprint(hidden)");
        assert_eq!(key().fingerprint(b"12345678").prefix().to_string().len(), 8);
        assert_eq!(key().fingerprint(b"12345678").half().to_string().len(), 16);
    }
}
