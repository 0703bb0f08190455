//! The entries of a chain: what ties an upstream's sessions to its servers, and in which order; and `affinity`, what servers hear
//! and say of it.

use std::collections::HashMap;
use std::sync::Arc;

use ::http::StatusCode;
use serde_json::json;

use super::cookie::CookieText;
use super::found::{HashText, RouteIdText};
use super::header::HeaderText;
use super::learn::LearnText;
use super::{cookie, found, header, learn};
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::{OneOrMore, record};
use crate::config::schema::read::{At, Hint, Leaf, ListOf, Read, defined};
use crate::config::schema::scalar::{Bool, Int};
use crate::config::schema::tree::{Node, Value};
use crate::ids::UpstreamName;
use crate::session::scope::Scope;
use crate::session::token_format::TokenFormat;
use crate::sticky::spec::{
    AffinitySpec, Announce, Caching, CookieMode, EntrySpec, HeaderMode, NewTieOn, Order, StickySpec, Strict, Way,
};
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

/// The schema of an entry, which stands alone or in a list, and its name in `$defs`.
pub(in crate::config) fn definition() -> (&'static str, serde_json::Value) {
    (ENTRY, EntryText::schema())
}

/// One way of tying, as written.
#[derive(Debug)]
pub(in crate::config) enum EntryText {
    Cookie(Box<CookieText>),
    Header(Box<HeaderText>),
    Route(RouteIdText),
    Hash(HashText),
    Learn(LearnText),
    Mcp,
}

choice! {
    "a way to tie sessions" => EntryText {
        /// A cookie: one that Burdock writes, or the application's.
        cookie(CookieText = "{}") => |cookie| Self::Cookie(Box::new(cookie)),
        /// A header, for clients without cookies.
        header(HeaderText) => |header| Self::Header(Box::new(header)),
        /// A server's route id in something that the application made.
        route(RouteIdText) => Self::Route,
        /// By consistent hash: a name's place on the ring is the tie, and nothing is written.
        hash(HashText) => Self::Hash,
        /// Sessions that the application makes: their names are seen in its responses and kept in a table.
        learn(LearnText) => Self::Learn,
        /// Sessions of the Model Context Protocol: {header: {name: Mcp-Session-Id, mode: envelope, strict: 404}}.
        mcp => Self::Mcp,
    }
}

choice! {
    "a token format" => TokenFormat {
        /// Encrypted and authenticated: cannot be made, read or changed by a client.
        sealed => Self::Sealed,
        /// The server's route (its id, unless it is given another), without dates.
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
    "what caches are told" => Caching {
        /// That the response is private.
        private => Self::Private,
        /// What the server says.
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
        /// Whether a server to which a session was moved is told so by the header Burdock-Affinity.
        announce: Bool = "true",
        /// What an application may say by the same header of its responses.
        obey: ListOf<Order> = "[]",
    }
}

choice! {
    "an application's order" => Order {
        /// The tie ends: the next request is balanced again.
        release => Self::Release,
        /// The idle time starts over.
        extend => Self::Extend,
        /// The session is tied to another server, given by its id.
        move_to => Self::MoveTo,
    }
}

/// What was written of an upstream's sessions.
pub(in crate::config) struct Written {
    pub(in crate::config) scope: Option<UpstreamName>,
    pub(in crate::config) entries: Vec<At<EntryText>>,
    pub(in crate::config) affinity: AffinityText,
}

/// A chain whose parts fit each other, and where its entries were written.
pub(in crate::config) fn build(
    upstream: &UpstreamName,
    written: Written,
    servers: &UpstreamSpec,
    findings: &mut Findings,
) -> (StickySpec, Vec<Location>) {
    let scope = Scope(Arc::from(written.scope.as_ref().unwrap_or(upstream).as_str()));
    let built = written.entries.into_iter().filter_map(|entry| self::entry(&scope, entry, findings));
    let (entries, places): (Vec<_>, Vec<_>) = built.collect::<Vec<_>>().into_iter().unzip();
    check_carriers(&entries, &places, findings);
    check_order(&entries, &places, findings);
    check_routes(&entries, &places, servers, findings);
    let announce = if written.affinity.announce { Announce::On } else { Announce::Off };
    (StickySpec { scope, entries, affinity: AffinitySpec { announce, obey: written.affinity.obey } }, places)
}

fn entry(scope: &Scope, written: At<EntryText>, findings: &mut Findings) -> Option<(EntrySpec, Location)> {
    let at = written.at;
    match written.value {
        EntryText::Cookie(cookie) => cookie::build(scope, *cookie, at, findings),
        EntryText::Header(header) => Some(header::build(*header, findings)),
        EntryText::Mcp => Some(header::build(header::mcp(at, findings)?, findings)),
        EntryText::Route(route) => Some((found::route(route), at)),
        EntryText::Hash(hash) => Some((found::hash(hash, at, findings), at)),
        EntryText::Learn(learn) => Some((learn::build(scope, learn, at, findings)?, at)),
    }
}

/// Two entries that ride on one cookie or header.
fn check_carriers(entries: &[EntrySpec], places: &[Location], findings: &mut Findings) {
    let mut first: HashMap<String, Location> = HashMap::new();
    for (entry, &at) in entries.iter().zip(places) {
        let carrier = match &entry.way {
            Way::Cookie(cookie) => format!("cookie {}", cookie.name.as_str()),
            Way::Header(header) => format!("header {}", header.name),
            Way::Route(_) | Way::Hash(_) | Way::Learn(_) => continue,
        };
        if let Some(first) = first.get(&carrier) {
            findings.fault(at, format!("duplicate entry for the {carrier}, first on line {}", first.line()));
        }
        first.entry(carrier).or_insert(at);
    }
}

/// Entries behind one that always decides are never asked.
fn check_order(entries: &[EntrySpec], places: &[Location], findings: &mut Findings) {
    let always = |entry: &EntrySpec| match &entry.way {
        Way::Hash(hash) => hash.key.iter().any(|source| source.is_always_there()),
        Way::Cookie(_) | Way::Header(_) | Way::Route(_) | Way::Learn(_) => false,
    };
    if let Some(last) = entries.iter().position(always)
        && let Some(&at) = places.get(last + 1)
    {
        let message = format!("the hash on line {} always has a key, so this entry is never used", places[last].line());
        findings.fault_with_help(at, message, "put the hash last");
    }
}

/// A plain token before an application's value ends at the first `~`.
fn check_routes(entries: &[EntrySpec], places: &[Location], upstream: &UpstreamSpec, findings: &mut Findings) {
    let fixed = upstream.servers.iter().map(|server| server.route.as_ref().unwrap_or(&server.id));
    let found = upstream.discovery.iter().map(|entry| entry.template.route.as_ref().unwrap_or(&entry.stem));
    let odd = fixed.chain(found).find(|route| route.as_str().contains('~'));
    let Some(odd) = odd else { return };
    let is_prefix = |entry: &EntrySpec| match &entry.way {
        Way::Cookie(cookie) => cookie.mode == CookieMode::Prefix && cookie.token == TokenFormat::Plain,
        Way::Header(header) => header.mode == HeaderMode::Envelope && header.token == TokenFormat::Plain,
        Way::Route(_) | Way::Hash(_) | Way::Learn(_) => false,
    };
    for (_, &at) in entries.iter().zip(places).filter(|(entry, _)| is_prefix(entry)) {
        let message = format!("a plain token ends at the first ~, so it cannot name the server {odd}");
        findings.fault_with_help(at, message, "use token: sealed, or give the server a route without ~");
    }
}
