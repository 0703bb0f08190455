//! `learn` entries of `sticky`: their grammar and the rules between their fields.

use super::method_text::MethodText;
use crate::config::response_source::ResponseSources;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::schema::scalar::Int;
use crate::config::source::Sources;
use crate::session::scope::Scope;
use crate::source::{Place, Source};
use crate::sticky::entry::EntrySpec;
use crate::sticky::learn::{LearnAt, LearnSpec};
use crate::sticky::method::MethodSpec;
use crate::sticky::spec::{NewTieOn, Strict};
use crate::table::TableName;

record! {
    "a learned session" => struct LearnText {
        /// Where a response names the session that the application creates: set_cookie:NAME or response_header:NAME, or a
        /// list.
        create: Option<ResponseSources>,
        /// Where a request names a session that is learned without the application's confirmation. Any client can then fill
        /// the table.
        create_from_requests: Option<Sources>,
        /// Where a request names its session: a source, or a list of sources that all count.
        lookup: Sources,
        /// The table for the sessions, which upstreams may share. The default has the name of this upstream's scope.
        table: Option<TableName>,
        /// When a session is learned.
        learn_at: LearnAt = "headers",
        /// Names with fewer bytes are ignored.
        min_length: Int<usize, 1, 1_024> = "8",
        /// Which responses of a server may tie a new session.
        new_tie_on: NewTieOn = "below_500",
        /// Whether a session whose server cannot serve it is refused, with 503 or this status, regardless of failover.
        strict: Strict = "false",
    }
}

choice! {
    "a moment of the response" => LearnAt {
        /// At its head: the client's next request finds the session, even while the body is still being sent.
        headers => Self::Headers,
        /// When it is complete.
        end => Self::End,
    }
}

impl MethodText for LearnText {
    fn build(self: Box<Self>, scope: &Scope, at: Location, findings: &mut Findings) -> Option<(EntrySpec, Location)> {
        if self.create.is_none() && self.create_from_requests.is_none() {
            // HAProxy's `stick match`: another entry fills the table.
            findings.warning(at, "without create, this entry only looks up sessions that another entry learns");
        }
        let is_address = |source: &Source| matches!(source.place, Place::ClientIp(_));
        if self.min_length > 4 && self.lookup.iter().any(is_address) {
            findings.warning(
                at,
                "an IPv4 address has 4 bytes, fewer than min_length, so it never names a session: set min_length: 4",
            );
        }
        let table = match self.table {
            Some(table) => table,
            None => table_of(scope, at, findings)?,
        };
        let spec = LearnSpec {
            table,
            create: self.create.unwrap_or_default(),
            create_from_requests: self.create_from_requests.unwrap_or_default(),
            lookup: self.lookup,
            at: self.learn_at,
            min_length: self.min_length,
            new_tie_on: self.new_tie_on,
        };
        Some((EntrySpec { method: MethodSpec::Learn(spec), strict: self.strict }, at))
    }
}

fn table_of(scope: &Scope, at: Location, findings: &mut Findings) -> Option<TableName> {
    let name = TableName::parse(&scope.0);
    if let Err(error) = &name {
        findings.fault_with_help(at, format!("no table can be named after the scope {}: {error}", scope.0), "set table");
    }
    name.ok()
}
