//! `hash` entries: consistent hashing of a name that the request carries anyway. The name's place on the ring is the tie, so
//! nothing is written. It does not know the ring.

use std::fmt;

use super::incoming::IncomingRequest;
use super::persistence::{Persistence, PersistenceSpec};
use super::spec::WhenFull;
use crate::http::cookie::CookieNames;
use crate::session::claim::Claim;
use crate::session::load_factor::LoadFactor;
use crate::session::name::SessionName;
use crate::source::{Readers, Source};

/// A hash entry as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HashSpec {
    /// The first source that the request carries and that is not empty counts.
    pub key: Vec<Source>,
    /// How far above its fair share of requests in flight a server may be loaded before its sessions spill.
    pub load_factor: Option<LoadFactor>,
    /// None: the upstream's failover action for `full`.
    pub when_full: Option<WhenFull>,
}

/// A hash entry in use.
#[derive(Debug)]
pub struct HashMethod {
    key: Readers,
    load_factor: Option<LoadFactor>,
    when_full: Option<WhenFull>,
}

impl PersistenceSpec for HashSpec {
    fn always_decides(&self) -> bool {
        self.key.iter().any(Source::is_always_there)
    }

    fn compare(&self, other: &Self) -> Vec<(&'static str, bool)> {
        let Self { key, load_factor, when_full } = self;
        vec![
            ("key", *key == other.key),
            ("load_factor", *load_factor == other.load_factor),
            ("when_full", *when_full == other.when_full),
        ]
    }

    fn reads_alike(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl HashMethod {
    pub(super) fn new(spec: HashSpec, cookies: &mut CookieNames) -> Self {
        Self { key: Readers::bind(spec.key, cookies), load_factor: spec.load_factor, when_full: spec.when_full }
    }
}

impl Persistence for HashMethod {
    const LABEL: &'static str = "hash";

    fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r> {
        let found = self.key.read(incoming.request, incoming.cookies);
        found.map_or(Claim::Absent, |found| Claim::Keyed(SessionName::key(found.text())))
    }

    fn load_factor(&self) -> Option<LoadFactor> {
        self.load_factor
    }

    fn when_full(&self) -> Option<WhenFull> {
        self.when_full
    }
}

impl fmt::Display for HashMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hash")
    }
}
