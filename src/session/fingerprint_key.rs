//! The key that fingerprints are made with.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use super::secret::{InvalidKey, Secret};

const ID_LABEL: &[u8] = b"burdock session table v1 key id\0";

/// The secret that fingerprints are made with. It is none of the keys that tokens are sealed with and is not rotated with
/// them: under another key every learned session is unknown. Balancers that are to place names alike share it. Shows its id,
/// never itself.
pub struct FingerprintKey(Secret);

/// What is written beside stored fingerprints to tell under which key they were made. It says nothing of the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FingerprintKeyId(pub [u8; 8]);

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
        let [a, b, c, d, e, f, g, h, ..] = self.fingerprint(ID_LABEL).octets();
        FingerprintKeyId([a, b, c, d, e, f, g, h])
    }

    /// The fingerprint of a name: the first 128 bits of BLAKE3 keyed with the secret.
    pub fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        let hash = blake3::keyed_hash(self.0.octets(), name);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        Fingerprint::from_octets(bytes)
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
}
