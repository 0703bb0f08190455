//! What the steps must know of the method by which an entry ties sessions.

use crate::balancer::reason::Method;
use crate::session::load_factor::LoadFactor;
use crate::sticky::entry::{Entry, EntryKind};
use crate::sticky::spec::WhenFull;

pub(super) fn method_of(entry: &Entry) -> Method {
    match &entry.kind {
        EntryKind::Cookie(_) => Method::Cookie,
        EntryKind::Header(_) => Method::Header,
        EntryKind::Route(_) => Method::Route,
        EntryKind::Hash(_) => Method::Hash,
        EntryKind::Learn(_) => Method::Learn,
    }
}

/// The load above which a server that is chosen by hash counts as full.
pub(super) fn load_factor(entry: &Entry) -> Option<LoadFactor> {
    match &entry.kind {
        EntryKind::Hash(hash) => hash.spec.load_factor,
        EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Learn(_) => None,
    }
}

/// What a hashed session does where its server is full.
pub(super) fn when_full(entry: &Entry) -> Option<WhenFull> {
    match &entry.kind {
        EntryKind::Hash(hash) => hash.spec.when_full,
        EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Learn(_) => None,
    }
}

pub(super) fn is_cookie(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Cookie(_))
}

pub(super) fn is_header(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Header(_))
}
