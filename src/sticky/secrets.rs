//! All that tokens and the names in session tables are made with: the keys of sealed tokens, the key of fingerprints, and the
//! secrets of other proxies. How they are read is the shell's business.

use std::collections::HashMap;
use std::sync::Arc;

use crate::session::fingerprint_key::FingerprintKey;
use crate::session::named_secret::{NamedSecret, SecretSource};
use crate::token::foreign::FormatSpec;
use crate::token::keys::KeyRing;

/// All that tokens are made and opened with.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// For the tokens of Burdock's own.
    pub ring: Arc<KeyRing>,
    /// For the names in session tables.
    pub fingerprints: Arc<FingerprintKey>,
    others: HashMap<SecretSource, NamedSecret>,
}

impl Secrets {
    pub fn new(
        ring: KeyRing,
        fingerprints: FingerprintKey,
        others: impl IntoIterator<Item = (SecretSource, NamedSecret)>,
    ) -> Self {
        Self { ring: Arc::new(ring), fingerprints: Arc::new(fingerprints), others: others.into_iter().collect() }
    }

    /// Whether tokens and names are made and read as by `other`.
    pub fn agree_with(&self, other: &Self) -> bool {
        let same_keys = self.ring.ids().eq(other.ring.ids()) && self.fingerprints.id() == other.fingerprints.id();
        same_keys && self.others == other.others
    }

    /// The secret that a format is keyed with. None where it has none, or nobody has read it.
    pub(crate) fn of_format(&self, format: &FormatSpec) -> Option<&NamedSecret> {
        self.others.get(format.secret()?)
    }
}
