//! What settling reads of a request.

use super::claims::ResolvedClaim;
use super::request_info::RequestInfo;
use crate::balancer::sticky_upstream::StickyUpstream;
use crate::session::name::SessionName;
use crate::sticky::entry::Entry;
use crate::sticky::incoming::RequestNames;

pub(super) struct Ties<'e> {
    pub(super) upstream: &'e StickyUpstream,
    pub(super) claims: &'e [ResolvedClaim],
    pub(super) info: &'e RequestInfo,
    /// What the request carries for each entry that learns, by the entry's position.
    pub(super) names: &'e [(usize, RequestNames)],
    /// The session's name for the ring, where it has one.
    pub(super) session: Option<&'e SessionName>,
}

impl<'e> Ties<'e> {
    /// The entries of the chain, each with what the request claims of it.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'e Entry, &'e ResolvedClaim)> {
        self.upstream.chain().entries().iter().zip(self.claims)
    }
}
