//! The secrets of tokens and session tables: the keys of sealed tokens, the key of fingerprints, and the secrets of other
//! proxies. The shell reads them; this file reads no files.

use std::collections::HashMap;
use std::sync::Arc;

use crate::session::fingerprint_key::FingerprintKey;
use crate::session::named_secret::{NamedSecret, SecretSource};
use crate::token::foreign::FormatSpec;
use crate::token::keys::KeyRing;

/// All secrets of a configuration.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// For Burdock's own tokens.
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

    /// Whether tokens and fingerprints are the same as with `other`.
    pub fn agree_with(&self, other: &Self) -> bool {
        let same_keys = self.ring.ids().eq(other.ring.ids()) && self.fingerprints.id() == other.fingerprints.id();
        same_keys && self.others == other.others
    }

    /// The secrets that both have, but with other values.
    pub fn changed_from<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = &'s SecretSource> {
        let changed =
            |source: &SecretSource, secret: &NamedSecret| before.others.get(source).is_some_and(|old| old != secret);
        self.others.iter().filter(move |(source, secret)| changed(source, secret)).map(|(source, _)| source)
    }

    /// The secret of a format. None if it has none or it was not read.
    pub(crate) fn of_format(&self, format: &FormatSpec) -> Option<&NamedSecret> {
        self.others.get(format.secret()?)
    }
}
