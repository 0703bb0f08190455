//! Turns a decision into an explanation: for `burdock explain`, which uses a configuration, and for the API, which uses the running
//! state.

use std::collections::BTreeMap;

use ::http::header::{COOKIE, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use burdock::balancer::Balancer;
use burdock::balancer::exchange::{Assignment, Exchange, Refusal, ResolvedClaim, Waiting};
use burdock::balancer::reason::Reason;
use burdock::http::edits::{Edit, Edits, Spelling};
use burdock::route::RouteIndex;
use burdock::session::claim::{Issuer, Named};
use burdock::sticky::entry::Entry;
use burdock::time::Now;
use burdock::upstream::server::Server;

use crate::api::explain::{ClaimInfo, Explanation};

/// The explanation for a request that no route matches.
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

/// Picks a server for the request and explains the outcome.
pub fn decide(
    balancer: &Balancer,
    route: RouteIndex,
    exchange: &mut Exchange,
    headers: &HeaderMap,
    now: Now,
) -> Explanation {
    let claims = claims(exchange, now);
    let (assignment, wait) = match exchange.pick(None, now, &mut rand::rng()) {
        // The explanation says where the request would go once a slot is free.
        Assignment::Wait(Waiting { ticket: _ticket, until, decision }) => {
            exchange.admitted(decision, now);
            (Ok(decision.at), Some(until.since(now.uptime).as_millis() as u64))
        }
        Assignment::Send { at, slot: _slot } => (Ok(at), None),
        Assignment::Refuse(refusal) => (Err(refusal), None),
        // Not at a first pick.
        Assignment::GiveUp(reason) => (Err(Refusal { status: StatusCode::BAD_GATEWAY, reason }), None),
    };
    let upstream = exchange.upstream();
    let mut explanation = Explanation {
        route: Some(balancer.routes()[route.0].name.to_string()),
        upstream: Some(upstream.name().to_string()),
        claims,
        wait,
        ..unrouted()
    };
    match assignment {
        Ok(at) => {
            let server = &upstream.servers()[at];
            explanation.server = Some(server.id().to_string());
            explanation.address = Some(server.spec().address.to_string());
            explanation.status = None;
            let mut edits = Edits::default();
            exchange.edit_request(headers, now, &mut edits);
            explanation.to_server = headers_set(&edits);
            explanation.reason = exchange.decision().map_or("", |decision| decision.reason.as_str()).to_owned();
            explanation.method = exchange.method().as_str().to_owned();
            explanation.from = exchange.from().map(|server| server.id().to_string());
        }
        Err(refusal) => {
            explanation.reason = refusal.reason.as_str().to_owned();
            explanation.status = Some(refusal.status.as_u16());
        }
    }
    explanation
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
    entries.iter().zip(exchange.claims()).map(|(entry, resolved)| claim(exchange, entry, resolved, now)).collect()
}

fn claim(exchange: &Exchange, of: &Entry, resolved: &ResolvedClaim, now: Now) -> ClaimInfo {
    let servers = exchange.upstream().servers();
    let (claim, server, named): (_, _, Option<&Named>) = match resolved {
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

/// Servers that share a route, joined.
fn ids(servers: &[Server], at: &[usize]) -> String {
    at.iter().map(|&at| servers[at].id().as_str()).collect::<Vec<_>>().join(" or ")
}
