//! `route` entries of `sticky`: their grammar.

use super::method_text::MethodText;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::source::Sources;
use crate::session::scope::Scope;
use crate::sticky::entry::EntrySpec;
use crate::sticky::method::MethodSpec;
use crate::sticky::route::ServerRouteSpec;
use crate::sticky::spec::Strict;

record! {
    "a route" => struct ServerRouteText {
        /// Where the request has the server's route: a source, or a list of which the first one that the request carries
        /// counts.
        from: Sources,
        /// Whether a session whose server cannot serve it is refused, with 503 or this status, regardless of failover.
        strict: Strict = "false",
    }
}

impl MethodText for ServerRouteText {
    fn build(self: Box<Self>, _scope: &Scope, at: Location, _findings: &mut Findings) -> Option<(EntrySpec, Location)> {
        let method = MethodSpec::Route(ServerRouteSpec { from: self.from });
        Some((EntrySpec { method, strict: self.strict }, at))
    }
}
