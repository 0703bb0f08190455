//! What `explain` says, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use burdock::balancer::exchange::{Exchange, Standing};
use burdock::balancer::words::Reason;
use burdock::sticky::claim::{Minted, Named};
use burdock::sticky::{Entry, EntryKind};
use burdock::time::Now;
use burdock::upstream::server::Server;
use serde::Serialize;

/// Where a request would go, and why.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub route: Option<String>,
    pub upstream: Option<String>,
    pub claims: Vec<ClaimTold>,
    pub reason: &'static str,
    pub method: &'static str,
    /// The server that gets the request; none where it is refused.
    pub server: Option<String>,
    pub address: Option<String>,
    /// The server that the session was tied to, if it is another.
    pub from: Option<String>,
    /// The status that Burdock itself answers with, where it does.
    pub status: Option<u16>,
    pub settled: &'static str,
    /// Headers that the server gets because of the tie.
    pub to_server: BTreeMap<String, String>,
    /// Set-Cookie lines that are added, or all of them where one of the server's is changed.
    pub set_cookie: Vec<String>,
    /// Other headers that the response gets.
    pub headers: BTreeMap<String, String>,
}

/// What the request says of its session to one entry.
#[derive(Debug, Serialize)]
pub struct ClaimTold {
    pub entry: String,
    /// `absent`, `tied`, `unknown_server`, or what is wrong with it.
    pub claim: &'static str,
    pub server: Option<String>,
    /// Whose token it is, where it is not one of ours.
    pub foreign: Option<&'static str>,
    /// Seconds since the session was first tied, and since it was last stamped.
    pub age: Option<u32>,
    pub idle: Option<u32>,
}

impl Explanation {
    /// No route leads anywhere for such a request.
    pub fn unrouted() -> Self {
        Self {
            route: None,
            upstream: None,
            claims: Vec::new(),
            reason: Reason::Refused.as_str(),
            method: "none",
            server: None,
            address: None,
            from: None,
            status: Some(404),
            settled: "none",
            to_server: BTreeMap::new(),
            set_cookie: Vec::new(),
            headers: BTreeMap::new(),
        }
    }
}

impl ClaimTold {
    /// The claims of a request, in the order of the chain.
    pub fn all(exchange: &Exchange, now: Now) -> Vec<Self> {
        let entries = exchange.pool().chain().entries();
        entries.iter().zip(exchange.standings()).map(|(entry, standing)| Self::one(exchange, entry, standing, now)).collect()
    }

    fn one(exchange: &Exchange, entry: &Entry, standing: &Standing, now: Now) -> Self {
        let servers = exchange.pool().upstream().servers();
        let (claim, server, named): (_, _, Option<&Named>) = match standing {
            Standing::Absent => ("absent", None, None),
            Standing::Fresh(_, bad) => (bad.map_or("unknown_session", |bad| Reason::Bad(bad).as_str()), None, None),
            Standing::Tied(tied, named) => ("tied", Some(ids(servers, tied)), Some(named)),
            Standing::Keyed(Some(home), _) => ("tied", Some(servers[*home].id().to_string()), None),
            Standing::Keyed(None, _) => ("tied", None, None),
            Standing::Unknown(named) => ("unknown_server", None, Some(named)),
            Standing::Bad(bad) => (Reason::Bad(*bad).as_str(), None, None),
        };
        let stamps = named.and_then(|named| named.stamps);
        let foreign = named.and_then(|named| match named.minted {
            Minted::Here => None,
            Minted::By(format) => Some(format.as_str()),
        });
        Self {
            entry: called(entry),
            claim,
            server,
            foreign,
            age: stamps.map(|stamps| now.wall.since(stamps.issued)),
            idle: stamps.map(|stamps| now.wall.since(stamps.seen)),
        }
    }
}

/// Servers that share a route are named together.
fn ids(servers: &[Server], at: &[usize]) -> String {
    at.iter().map(|&at| servers[at].id().as_str()).collect::<Vec<_>>().join(" or ")
}

fn called(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::Cookie(cookie) => format!("cookie {}", cookie.name()),
        EntryKind::Header(header) => format!("header {}", header.name()),
        EntryKind::Route(_) => "route".to_owned(),
        EntryKind::Hash(_) => "hash".to_owned(),
        EntryKind::Learn(learn) => format!("learn {}", learn.table().spec().name),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(route), Some(upstream)) = (&self.route, &self.upstream) else {
            return writeln!(f, "route     none: no route matches host and path\nanswer    404");
        };
        writeln!(f, "route     {route}\nupstream  {upstream}")?;
        for claim in &self.claims {
            writeln!(f, "claim     {claim}")?;
        }
        writeln!(f, "reason    {} (method: {})", self.reason, self.method)?;
        match (&self.server, &self.address) {
            (Some(server), Some(address)) if server == address => writeln!(f, "server    {server}")?,
            (Some(server), Some(address)) => writeln!(f, "server    {server} at {address}")?,
            (Some(_) | None, _) => writeln!(f, "answer    {}", self.status.unwrap_or_default())?,
        }
        if let Some(from) = &self.from {
            writeln!(f, "from      {from}")?;
        }
        self.to_server.iter().try_for_each(|(name, value)| writeln!(f, "to server {name}: {value}"))?;
        writeln!(f, "settled   {}", self.settled)?;
        self.set_cookie.iter().try_for_each(|cookie| writeln!(f, "Set-Cookie: {cookie}"))?;
        self.headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}

impl fmt::Display for ClaimTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.entry, self.claim)?;
        if let Some(server) = &self.server {
            write!(f, " to {server}")?;
        }
        if let Some(foreign) = self.foreign {
            write!(f, ", by a token of {foreign}")?;
        }
        if let (Some(age), Some(idle)) = (self.age, self.idle) {
            write!(f, ", for {age} s, stamped {idle} s ago")?;
        }
        Ok(())
    }
}
