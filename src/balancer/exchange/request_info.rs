//! What of a request the settling of its response still needs.

use std::net::IpAddr;

use ::http::Method as Verb;
use ::http::header::ORIGIN;

use crate::http::preflight::is_cors_preflight;
use crate::http::request::{Request, Scheme};
use crate::sticky::chain::Chain;
use crate::sticky::edits::{Origin, Reader};
use crate::sticky::spec::Verbs;

#[derive(Debug)]
pub(super) struct RequestInfo {
    scheme: Scheme,
    kind: Kind,
    /// The same where no entry asks for it.
    origin: Origin,
    /// Stands in for the session's name where a token has no room for one.
    client: IpAddr,
    /// None where no entry asks for it.
    host: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A CORS preflight, whose answer browsers take no cookie from.
    Preflight,
    Post,
    Other,
}

impl RequestInfo {
    pub(super) fn of(request: &Request<'_>, chain: &Chain) -> Self {
        let kind = match *request.method {
            Verb::POST => Kind::Post,
            _ if is_cors_preflight(request.method, request.headers) => Kind::Preflight,
            _ => Kind::Other,
        };
        let foreign = chain.reads_origin() && request.headers.contains_key(ORIGIN);
        let origin = if foreign { Origin::Other } else { Origin::Same };
        let host = chain.reads_host().then(|| request.host.into());
        Self { scheme: request.scheme, kind, origin, client: request.client, host }
    }

    /// Whether the answer may tie at all.
    pub(super) fn ties(&self) -> bool {
        self.kind != Kind::Preflight
    }

    /// Whether the answer may begin a tie of an entry that begins them on these methods.
    pub(super) fn begins(&self, verbs: Verbs) -> bool {
        match verbs {
            Verbs::All => true,
            Verbs::Post => self.kind == Kind::Post,
        }
    }

    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { scheme: self.scheme, host: self.host.as_deref().unwrap_or_default(), origin: self.origin }
    }
}
