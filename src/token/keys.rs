//! The keys that seal tokens: their text, their ids, and the key ring, whose first key seals and whose keys all open.
//!
//! A key is 32 random bytes. It is never used directly; two values are derived from it under separate labels, so that neither
//! reveals the other:
//!
//! - the key's id: the first 4 bytes of SHA-256(`burdock token v1 key id` ‖ 0x00 ‖ key)
//! - the AEAD's key: HKDF-SHA256 with no salt, the key as input, `burdock token v1 aead` as info, 32 bytes
//!
//! The shell decides where keys are stored: this module reads and writes no files.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::hash::{first, sha256};
use crate::session::secret::{InvalidKey, Secret};

const ID_LABEL: &[u8] = b"burdock token v1 key id\0";
const AEAD_LABEL: &[u8] = b"burdock token v1 aead";

/// A secret of 32 bytes. `Debug` shows only its id.
pub struct Key(Secret);

/// Identifies the key of a token.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct KeyId([u8; 4]);

/// Why keys do not form a ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKeyRing {
    #[error("there must be at least one key")]
    Empty,
    #[error("key {0} occurs twice")]
    Duplicate(KeyId),
}

impl Key {
    /// Parses a key from the text of its file: 64 hexadecimal characters, or base64 or base64url, with or without padding.
    /// Surrounding white space is ignored.
    ///
    /// # Errors
    /// [`InvalidKey`] says what is wrong, without repeating the text.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        Secret::parse(text).map(Self)
    }

    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::generate(rng))
    }

    /// The secret itself, for its file: 43 characters of base64url. [`Key::parse`] reads it.
    pub fn to_text(&self) -> Zeroizing<String> {
        self.0.to_text()
    }

    pub fn id(&self) -> KeyId {
        KeyId(first(sha256(&[ID_LABEL, self.0.bytes()]).as_ref()))
    }

    #[expect(clippy::expect_used, reason = "HKDF refuses only more than 8,160 bytes of output, and this asks for 32")]
    fn aead(&self) -> LessSafeKey {
        let secret = Salt::none(HKDF_SHA256).extract(self.0.bytes());
        let expanded = secret.expand(&[AEAD_LABEL], &AES_256_GCM_SIV).expect("32 bytes of output");
        LessSafeKey::new(UnboundKey::from(expanded))
    }
}

/// Keys ready for use. The first seals, all open. To rotate: add the new key as the second on every balancer, then make it the
/// first on every balancer, and drop the old key when the longest life of a token is over.
#[derive(Debug)]
pub struct KeyRing {
    sealing: RingKey,
    opening_only: Vec<RingKey>,
}

/// A key of the ring, prepared for the AEAD.
pub(crate) struct RingKey {
    pub(crate) id: KeyId,
    pub(crate) aead: LessSafeKey,
}

impl KeyRing {
    /// # Errors
    /// There is no key, or a key occurs twice.
    pub fn new(keys: Vec<Key>) -> Result<Self, InvalidKeyRing> {
        let mut keys = keys.iter().map(|key| RingKey { id: key.id(), aead: key.aead() });
        let sealing = keys.next().ok_or(InvalidKeyRing::Empty)?;
        let mut ring = Self { sealing, opening_only: Vec::new() };
        for key in keys {
            if ring.find(key.id.0).is_some() {
                return Err(InvalidKeyRing::Duplicate(key.id));
            }
            ring.opening_only.push(key);
        }
        Ok(ring)
    }

    /// The sealing key's id first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.all().map(|key| key.id)
    }

    pub(crate) fn sealing(&self) -> &RingKey {
        &self.sealing
    }

    /// The key with this id.
    pub(crate) fn find(&self, id: [u8; 4]) -> Option<&RingKey> {
        self.all().find(|key| key.id.0 == id)
    }

    fn all(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.sealing).chain(&self.opening_only)
    }
}

impl KeyId {
    pub(crate) fn bytes(self) -> [u8; 4] {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    #[test]
    fn debug_output_hides_a_key() {
        let key = Key::parse(HEX).unwrap();
        let id = key.id().to_string();
        assert_eq!(format!("{key:?}"), format!("Key({id})"));
        let ring = format!("{:?}", KeyRing::new(vec![key]).unwrap());
        assert!(ring.contains(&id) && !ring.contains("0a0b"), "{ring}");
    }

    #[test]
    fn a_key_ring_has_at_least_one_key_and_no_duplicates() {
        let key = || Key::parse(HEX).unwrap();
        assert_eq!(KeyRing::new(vec![]).unwrap_err(), InvalidKeyRing::Empty);
        assert_eq!(KeyRing::new(vec![key(), key()]).unwrap_err(), InvalidKeyRing::Duplicate(key().id()));
    }
}
