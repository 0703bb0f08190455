//! The state of a request that settling reads: values only.

use super::claims::ResolvedClaim;
use super::request_info::RequestInfo;
use crate::balancer::sticky_upstream::StickyUpstream;
use crate::session::name::SessionName;
use crate::sticky::entry::Entry;
use crate::sticky::incoming::RequestNames;

/// A request's claims and names, with its upstream.
pub(super) struct Ties<'e> {
    pub(super) upstream: &'e StickyUpstream,
    pub(super) claims: &'e [ResolvedClaim],
    pub(super) info: &'e RequestInfo,
    /// The names that the request carries for each learn entry, with the entry's position.
    pub(super) names: &'e [(usize, RequestNames)],
    /// The session's name on the ring, if it has one.
    pub(super) session: Option<&'e SessionName>,
}

impl<'e> Ties<'e> {
    /// The entries of the chain, each with its claim.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'e Entry, &'e ResolvedClaim)> {
        self.upstream.chain().entries().iter().zip(self.claims)
    }
}
