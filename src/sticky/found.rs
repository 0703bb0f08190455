//! Ties that are found in what the client or the application says anyway, and never written: a server's route id, and a name
//! whose place on the ring is the tie.

use smallvec::SmallVec;

use super::spec::{HashSpec, RouteIdSpec};
use crate::http::cookie::{CookieNames, Cookies};
use crate::http::request::Request;
use crate::session::claim::{Claim, Issuer, Named, ServerName};
use crate::session::name::SessionName;
use crate::source::Readers;

/// A server's route id, made by the application or by hand (`sid.route` of Tomcat and Apache, nginx's `sticky route`).
#[derive(Debug)]
pub struct RouteEntry {
    from: Readers,
}

/// A tie by consistent hash.
#[derive(Debug)]
pub struct HashEntry {
    key: Readers,
    pub(crate) spec: HashSpec,
}

impl RouteEntry {
    pub(super) fn new(spec: RouteIdSpec, names: &mut CookieNames) -> Self {
        Self { from: Readers::bind(spec.from, names) }
    }

    /// The session's name is all that stands there. A route that stands alone names no session, and all that have lost their
    /// server would go to one place; so the client's address tells them apart.
    pub(super) fn claim<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Claim<'r> {
        let Some(found) = self.from.read(request, cookies) else { return Claim::Absent };
        let mut name = SmallVec::from_slice(&found.whole);
        if found.whole.len() == found.text().len() {
            name.extend_from_slice(&SessionName::of_client(request.client).bytes());
        }
        let named = Named { session: Some(SessionName::Key(name)), stamps: None, issuer: Issuer::Burdock };
        match found.into_text() {
            Some(route) => Claim::Names(ServerName::Route(route), named),
            None => Claim::Absent,
        }
    }
}

impl HashEntry {
    pub(super) fn new(spec: HashSpec, names: &mut CookieNames) -> Self {
        Self { key: Readers::bind(spec.key.clone(), names), spec }
    }

    pub(super) fn claim<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Claim<'r> {
        self.key.read(request, cookies).map_or(Claim::Absent, |found| Claim::Keyed(SessionName::key(found.text())))
    }
}
