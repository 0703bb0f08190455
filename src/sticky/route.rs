//! `route` entries: a server's route id in a value that the client or the application sends anyway. It is read and never
//! written.

use std::fmt;

use smallvec::SmallVec;

use super::incoming::IncomingRequest;
use super::persistence::{Persistence, PersistenceSpec};
use crate::http::cookie::CookieNames;
use crate::session::claim::{Claim, Issuer, Named, ServerName};
use crate::session::name::SessionName;
use crate::source::{Readers, Source};

/// A route entry as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerRouteSpec {
    /// The first source that the request carries and that is not empty counts.
    pub from: Vec<Source>,
}

/// A route entry in use. The application or its operator adds the route id: `sid.route` of Tomcat and Apache, nginx's
/// `sticky route`.
#[derive(Debug)]
pub struct ServerRouteMethod {
    from: Readers,
}

impl PersistenceSpec for ServerRouteSpec {
    fn compare(&self, other: &Self) -> Vec<(&'static str, bool)> {
        let Self { from } = self;
        vec![("from", *from == other.from)]
    }
}

impl ServerRouteMethod {
    pub(super) fn new(spec: ServerRouteSpec, cookies: &mut CookieNames) -> Self {
        Self { from: Readers::bind(spec.from, cookies) }
    }
}

impl Persistence for ServerRouteMethod {
    const LABEL: &'static str = "route";

    /// The session's name is the whole value. A value that is only a route names no session, and all sessions that lose
    /// their server would go to one other server, so the client's address is added.
    fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r> {
        let Some(found) = self.from.read(incoming.request, incoming.cookies) else { return Claim::Absent };
        let mut name = SmallVec::from_slice(&found.whole);
        if found.whole.len() == found.text().len() {
            name.extend_from_slice(&SessionName::of_client(incoming.request.client).bytes());
        }
        let named = Named { session: Some(SessionName::Key(name)), stamps: None, issuer: Issuer::Burdock };
        match found.into_text() {
            Some(route) => Claim::Names(ServerName::Route(route), named),
            None => Claim::Absent,
        }
    }
}

impl fmt::Display for ServerRouteMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("route")
    }
}
