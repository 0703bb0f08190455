//! The sticky entries of an upstream, in order, and its `affinity`. It checks the rules between entries; those between the
//! fields of an entry are in the file of its method.

use std::collections::HashMap;
use std::sync::Arc;

use ::http::StatusCode;
use serde_json::json;

use super::cookie::CookieText;
use super::hash::HashText;
use super::header::{HeaderText, McpText};
use super::learn::LearnText;
use super::method_text::MethodText;
use super::route::ServerRouteText;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::{OneOrMore, record};
use crate::config::schema::read::{At, Hint, Leaf, ListOf, Read, defined};
use crate::config::schema::scalar::{Bool, Int};
use crate::config::schema::tree::{Node, Value};
use crate::ids::UpstreamName;
use crate::session::scope::Scope;
use crate::session::token_format::TokenFormat;
use crate::sticky::chain::StickySpec;
use crate::sticky::entry::EntrySpec;
use crate::sticky::spec::{AffinitySpec, Announce, Caching, NewTieOn, OrderKind, Strict};
use crate::upstream::spec::UpstreamSpec;

/// The entries of a chain: a word, or a list.
pub(in crate::config) struct Entries;

impl Read for Entries {
    type Value = Vec<At<EntryText>>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        match &node.value {
            Value::Map(_) => At::<EntryText>::read(node, findings).map(|entry| vec![entry]),
            Value::Scalar(..) | Value::List(_) | Value::Null => OneOrMore::<At<EntryText>>::read(node, findings),
        }
    }

    fn schema() -> serde_json::Value {
        let entry = defined(ENTRY);
        json!({"anyOf": [entry, {"type": "array", "items": entry}]})
    }
}

const ENTRY: &str = "sticky_entry";

/// The schema of an entry and its name in `$defs`. An entry stands alone or in a list.
pub(in crate::config) fn definition() -> (&'static str, serde_json::Value) {
    (ENTRY, EntryText::schema())
}

/// An entry as written.
#[derive(Debug)]
pub(in crate::config) struct EntryText(Box<dyn MethodText>);

impl EntryText {
    fn of(method: impl MethodText + 'static) -> Self {
        Self(Box::new(method))
    }
}

choice! {
    "a way to tie sessions" => EntryText {
        /// A cookie: one that Burdock writes, or the application's.
        cookie(CookieText = "{}") => Self::of,
        /// A header, for clients without cookies.
        header(HeaderText) => Self::of,
        /// A server's route id in a value that the application creates.
        route(ServerRouteText) => Self::of,
        /// Consistent hashing: the place of a name on the ring is the tie, and nothing is written.
        hash(HashText) => Self::of,
        /// Sessions that the application creates: Burdock learns their names from its responses and keeps them in a table.
        learn(LearnText) => Self::of,
        /// Sessions of the Model Context Protocol: {header: {name: Mcp-Session-Id, mode: envelope, strict: 404}}.
        mcp => Self::of(McpText),
    }
}

choice! {
    "a token format" => TokenFormat {
        /// Encrypted and authenticated: a client cannot make, read or change it.
        sealed => Self::Sealed,
        /// The server's route (by default its id), without dates.
        plain => Self::Plain,
    }
}

choice! {
    "a set of responses" => NewTieOn {
        /// All but 4xx and 5xx.
        below_400 => Self::Below400,
        /// All but 5xx.
        below_500 => Self::Below500,
        /// All.
        any => Self::Any,
    }
}

choice! {
    "a cache_control setting" => Caching {
        /// Shared caches must not store the response.
        private => Self::Private,
        /// The server's own Cache-Control.
        leave => Self::Leave,
    }
}

impl Leaf for Strict {
    type Value = Self;
    const EXPECTED: &'static str = "false, true (503) or a status from 400 to 599";
    const KIND: crate::config::schema::read::Kind = crate::config::schema::read::Kind::Bare;

    fn parse(text: &str) -> Result<Self, Hint> {
        match text {
            "false" => Ok(Self::Off),
            "true" => Ok(Self::Refuse(StatusCode::SERVICE_UNAVAILABLE)),
            status => {
                let status = Int::<u16, 400, 599>::parse(status).map_err(|_| Hint::unknown())?;
                Ok(Self::Refuse(StatusCode::from_u16(status)?))
            }
        }
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 400, "maximum": 599}]})
    }
}

record! {
    "affinity" => struct AffinityText {
        /// Whether the request header Burdock-Affinity tells a server that the session was moved to it.
        announce: Bool = "true",
        /// The orders that an application may give by the response header Burdock-Affinity.
        obey: ListOf<OrderKind> = "[]",
    }
}

choice! {
    "an application's order" => OrderKind {
        /// The tie ends: the next request is balanced again.
        release => Self::Release,
        /// The idle time starts again.
        extend => Self::Extend,
        /// The session is tied to another server, given by its id.
        move_to => Self::MoveTo,
    }
}

/// The sticky settings of an upstream, as written.
pub(in crate::config) struct Written {
    pub(in crate::config) scope: Option<UpstreamName>,
    pub(in crate::config) entries: Vec<At<EntryText>>,
    pub(in crate::config) affinity: AffinityText,
}

/// A valid chain, with the locations of its entries.
pub(in crate::config) fn build(
    upstream: &UpstreamName,
    written: Written,
    servers: &UpstreamSpec,
    findings: &mut Findings,
) -> (StickySpec, Vec<Location>) {
    let scope = Scope(Arc::from(written.scope.as_ref().unwrap_or(upstream).as_str()));
    let built = written.entries.into_iter().filter_map(|entry| entry.value.0.build(&scope, entry.at, findings));
    let (entries, places): (Vec<_>, Vec<_>) = built.collect::<Vec<_>>().into_iter().unzip();
    check_carriers(&entries, &places, findings);
    check_order(&entries, &places, findings);
    check_routes(&entries, &places, servers, findings);
    let announce = if written.affinity.announce { Announce::On } else { Announce::Off };
    (StickySpec { scope, entries, affinity: AffinitySpec { announce, obey: written.affinity.obey } }, places)
}

/// Reports two entries that use one cookie or header.
fn check_carriers(entries: &[EntrySpec], places: &[Location], findings: &mut Findings) {
    let mut first: HashMap<String, Location> = HashMap::new();
    for (entry, &at) in entries.iter().zip(places) {
        let Some(carrier) = entry.method.carrier() else { continue };
        if let Some(first) = first.get(&carrier) {
            findings.fault(at, format!("duplicate entry for the {carrier}, first on line {}", first.line()));
        }
        first.entry(carrier).or_insert(at);
    }
}

/// Reports entries after one that always decides, because they are never asked.
fn check_order(entries: &[EntrySpec], places: &[Location], findings: &mut Findings) {
    if let Some(last) = entries.iter().position(|entry| entry.method.always_decides())
        && let Some(&at) = places.get(last + 1)
    {
        let message = format!("the hash on line {} always has a key, so this entry is never used", places[last].line());
        findings.fault_with_help(at, message, "put the hash last");
    }
}

/// Reports servers that a plain token before an application's value cannot name, because it ends at the first `~`.
fn check_routes(entries: &[EntrySpec], places: &[Location], upstream: &UpstreamSpec, findings: &mut Findings) {
    let fixed = upstream.servers.iter().map(|server| server.route.as_ref().unwrap_or(&server.id));
    let found = upstream.discovery.iter().map(|entry| entry.template.route.as_ref().unwrap_or(&entry.stem));
    let unusable = fixed.chain(found).find(|route| route.as_str().contains('~'));
    let Some(unusable) = unusable else { return };
    for (_, &at) in entries.iter().zip(places).filter(|(entry, _)| entry.method.is_plain_prefix()) {
        let message = format!("a plain token ends at the first ~, so it cannot name the server {unusable}");
        findings.fault_with_help(at, message, "use token: sealed, or give the server a route without ~");
    }
}
