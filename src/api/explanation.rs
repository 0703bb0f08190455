//! What a decision is told as: for `explain`, which asks a configuration, and for the API, which asks what is running.

use std::collections::BTreeMap;

use ::http::header::{COOKIE, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue};
use burdock::balancer::Balancer;
use burdock::balancer::exchange::{Assignment, Exchange, ResolvedClaim, Waiting};
use burdock::balancer::reason::Reason;
use burdock::http::edits::{Edit, Edits, Spelling};
use burdock::route::RouteIndex;
use burdock::session::claim::{Issuer, Named};
use burdock::sticky::entry::Entry;
use burdock::time::Now;
use burdock::upstream::server::Server;

use crate::api::explain::{ClaimInfo, Explanation};

/// No route leads anywhere for such a request.
pub fn unrouted() -> Explanation {
    Explanation {
        route: None,
        upstream: None,
        not_looked_up: Vec::new(),
        claims: Vec::new(),
        reason: Reason::Refused.as_str().to_owned(),
        method: "none".to_owned(),
        server: None,
        address: None,
        wait: None,
        from: None,
        status: Some(404),
        settled: None,
        to_server: BTreeMap::new(),
        set_cookie: Vec::new(),
        headers: BTreeMap::new(),
    }
}

/// Lets a server be picked for the request of these headers, and tells what came of it.
pub fn decide(
    balancer: &Balancer,
    route: RouteIndex,
    exchange: &mut Exchange,
    headers: &HeaderMap,
    now: Now,
) -> Explanation {
    let claims = claims(exchange, now);
    let (assignment, wait) = match exchange.pick(None, now, &mut rand::rng()) {
        // What is told is where it would go if a place came.
        Assignment::Wait(Waiting { ticket: _ticket, until, decision }) => {
            exchange.admitted(decision, now);
            (Ok(decision.at), Some(until.since(now.uptime).as_millis() as u64))
        }
        Assignment::Send { at, slot: _slot } => (Ok(at), None),
        Assignment::Refuse(refusal) => (Err(refusal), None),
    };
    let upstream = exchange.upstream();
    let mut told = Explanation {
        route: Some(balancer.routes()[route.0].name.to_string()),
        upstream: Some(upstream.name().to_string()),
        claims,
        wait,
        ..unrouted()
    };
    match assignment {
        Ok(at) => {
            let server = &upstream.servers()[at];
            told.server = Some(server.id().to_string());
            told.address = Some(server.spec().address.to_string());
            told.status = None;
            let mut edits = Edits::default();
            exchange.edit_request(headers, now, &mut edits);
            told.to_server = headers_set(&edits);
            told.reason = exchange.decision().map_or("", |decision| decision.reason.as_str()).to_owned();
            told.method = exchange.method().as_str().to_owned();
            told.from = exchange.from().map(|server| server.id().to_string());
        }
        Err(refusal) => {
            told.reason = refusal.reason.as_str().to_owned();
            told.status = Some(refusal.status.as_u16());
        }
    }
    told
}

/// The headers that are set, but for cookies.
pub fn headers_set(edits: &Edits) -> BTreeMap<String, String> {
    let set = edits.iter().filter_map(|edit| match edit {
        Edit::Set(Spelling::Usual(name), value) if *name != COOKIE => Some((name.to_string(), text(value))),
        Edit::Set(..) | Edit::Remove(_) | Edit::Replace(..) | Edit::Append(..) => None,
    });
    set.collect()
}

/// The Set-Cookie lines that are written, those of the server's own that are edited first.
pub fn cookies_set(edits: &Edits) -> Vec<String> {
    let lines = edits.iter().flat_map(|edit| match edit {
        Edit::Replace(name, lines) if *name == SET_COOKIE => lines.iter().map(text).collect(),
        Edit::Append(name, line) if *name == SET_COOKIE => vec![text(line)],
        Edit::Set(..) | Edit::Remove(_) | Edit::Replace(..) | Edit::Append(..) => Vec::new(),
    });
    lines.collect()
}

pub fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The claims of a request, in the order of the chain.
fn claims(exchange: &Exchange, now: Now) -> Vec<ClaimInfo> {
    let entries = exchange.chain().entries();
    entries.iter().zip(exchange.claims()).map(|(entry, standing)| claim(exchange, entry, standing, now)).collect()
}

fn claim(exchange: &Exchange, of: &Entry, standing: &ResolvedClaim, now: Now) -> ClaimInfo {
    let servers = exchange.upstream().servers();
    let (claim, server, named): (_, _, Option<&Named>) = match standing {
        ResolvedClaim::Absent => ("absent", None, None),
        ResolvedClaim::Fresh(_, bad) => (bad.map_or("unknown_session", |bad| Reason::Bad(bad).as_str()), None, None),
        ResolvedClaim::Tied(tied, named) => ("tied", Some(ids(servers, tied)), Some(named)),
        ResolvedClaim::Keyed(Some(home), _) => ("tied", Some(servers[*home].id().to_string()), None),
        ResolvedClaim::Keyed(None, _) => ("tied", None, None),
        ResolvedClaim::Unknown(named) => ("unknown_server", None, Some(named)),
        ResolvedClaim::Bad(bad) => (Reason::Bad(bad.why).as_str(), None, None),
    };
    let stamps = named.and_then(|named| named.stamps);
    let foreign = named.and_then(|named| match named.issuer {
        Issuer::Burdock => None,
        Issuer::Other(format) => Some(format.as_str().to_owned()),
    });
    ClaimInfo {
        entry: of.method.to_string(),
        claim: claim.to_owned(),
        server,
        foreign,
        age: stamps.map(|stamps| now.wall.since(stamps.issued)),
        idle: stamps.map(|stamps| now.wall.since(stamps.seen)),
    }
}

/// Servers that share a route are named together.
fn ids(servers: &[Server], at: &[usize]) -> String {
    at.iter().map(|&at| servers[at].id().as_str()).collect::<Vec<_>>().join(" or ")
}
