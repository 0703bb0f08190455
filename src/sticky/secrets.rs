//! Secrets other than the keys of sealed tokens: those that other proxies' tokens are keyed with. Here is where they are
//! found and what they are, not how they are read: that is the shell's business.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::table::FingerprintKey;
use crate::token::keys::KeyRing;

/// Where a secret is found. Secrets never stand in the configuration itself.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SecretSource {
    File(PathBuf),
    Env(String),
}

/// Some octets that nobody is to see. It does not show itself.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<Box<[u8]>>);

/// All that tokens are made and opened with.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// For the tokens of Burdock's own.
    pub ring: Arc<KeyRing>,
    /// For the names in session tables.
    pub fingerprints: Arc<FingerprintKey>,
    others: HashMap<SecretSource, Secret>,
}

impl Secret {
    /// Takes a secret as its file has it: all of it, but for a line end behind it.
    pub fn from_text(text: &[u8]) -> Self {
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        Self(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).into()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl Secrets {
    pub fn new(
        ring: KeyRing,
        fingerprints: FingerprintKey,
        others: impl IntoIterator<Item = (SecretSource, Secret)>,
    ) -> Self {
        Self { ring: Arc::new(ring), fingerprints: Arc::new(fingerprints), others: others.into_iter().collect() }
    }

    /// Whether tokens and names are made and read as by `other`.
    pub fn agree_with(&self, other: &Self) -> bool {
        let same_keys = self.ring.ids().eq(other.ring.ids()) && self.fingerprints.id() == other.fingerprints.id();
        same_keys && self.others == other.others
    }

    /// None where nobody has read it.
    pub(crate) fn get(&self, source: &SecretSource) -> Option<&Secret> {
        self.others.get(source)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_text_without_one_line_end() {
        for (text, secret) in [
            (&b"a key"[..], &b"a key"[..]),
            (b"a key\n", b"a key"),
            (b"a key\r\n", b"a key"),
            (b" a key \n\n", b" a key \n"),
            (b"\xff\0", b"\xff\0"),
            (b"\n", b""),
        ] {
            assert_eq!(Secret::from_text(text).octets(), secret, "{text:?}");
        }
    }

    #[test]
    fn a_secret_never_shows_itself() {
        assert_eq!(format!("{:?}", Secret::from_text(b"hunter2")), "Secret(hidden)");
    }
}
