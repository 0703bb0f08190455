//! The parts of a request that settling its response needs: the request itself is gone by then.

use std::net::IpAddr;

use ::http::Method as Verb;
use ::http::header::ORIGIN;

use super::claims::ResolvedClaim;
use crate::http::forwarded::is_relayed;
use crate::http::preflight::is_cors_preflight;
use crate::http::request::{Request, Scheme};
use crate::sticky::chain::Chain;
use crate::sticky::edits::{Origin, Reader};
use crate::sticky::spec::Verbs;
use crate::time::Now;

#[derive(Debug)]
pub(super) struct RequestInfo {
    scheme: Scheme,
    kind: Kind,
    /// [`Origin::Same`] if no entry needs it.
    origin: Origin,
    /// Replaces the session's name if a token cannot hold one.
    client: IpAddr,
    /// None if no entry needs it.
    host: Option<Box<str>>,
    relay: Relay,
}

/// Whether a proxy relays the request, so that its connection is not one client's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Relay {
    Relayed,
    /// No proxy, or it does not matter: the request has a tie, or no entry could tie it.
    DirectOrUnread,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A CORS preflight: browsers accept no cookie in its response.
    Preflight,
    Post,
    Other,
}

impl RequestInfo {
    pub(super) fn of(request: &Request<'_>, chain: &Chain, claims: &[ResolvedClaim]) -> Self {
        let kind = match *request.method {
            Verb::POST => Kind::Post,
            _ if is_cors_preflight(request.method, request.headers) => Kind::Preflight,
            _ => Kind::Other,
        };
        let foreign = chain.reads_origin() && request.headers.contains_key(ORIGIN);
        let origin = if foreign { Origin::Other } else { Origin::Same };
        let host = chain.reads_host().then(|| request.host.into());
        let unread = claims.is_empty() || claims.iter().any(|claim| claim.named().is_some());
        let relay = if !unread && is_relayed(request.headers) { Relay::Relayed } else { Relay::DirectOrUnread };
        Self { scheme: request.scheme, kind, origin, client: request.client, host, relay }
    }

    /// Whether the response may write ties at all.
    pub(super) fn ties(&self) -> bool {
        self.kind != Kind::Preflight
    }

    /// Whether the response may tie a new session, for an entry that ties new sessions on these methods.
    pub(super) fn begins(&self, verbs: Verbs) -> bool {
        match verbs {
            Verbs::All => true,
            Verbs::Post => self.kind == Kind::Post,
        }
    }

    pub(super) fn is_relayed(&self) -> bool {
        self.relay == Relay::Relayed
    }

    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    pub(super) fn reader(&self, now: Now) -> Reader<'_> {
        Reader { scheme: self.scheme, host: self.host.as_deref().unwrap_or_default(), origin: self.origin, now }
    }
}
