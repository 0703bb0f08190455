//! What ties a session to a server: the entries of an upstream's chain. It reads requests and writes tokens; it never asks
//! which servers are up.

pub mod affinity;
pub mod cookie;
mod edits;
mod entry;
pub mod found;
pub mod header;
pub mod learn;
pub mod secrets;
pub mod spec;

use std::net::SocketAddr;

use crate::http::cookie::CookieNames;
use crate::sticky::secrets::Secrets;
use crate::token::{ServerTag, SessionNumber, Stamps};
use crate::upstream::ServerId;
use cookie::CookieEntry;
pub use edits::{Carried, CookieHeader, Origin, Reader, RequestEdits, ResponseEdits};
pub use entry::{Entry, EntryKind};
use found::{HashEntry, RouteEntry};
use header::HeaderEntry;
use learn::{LearnEntry, Tables, Unlearnable};
use spec::{AffinitySpec, EntrySpec, StickySpec, Way};

/// The entries of one upstream, in the order in which they are asked.
#[derive(Debug)]
pub struct Chain {
    entries: Box<[Entry]>,
    affinity: AffinitySpec,
}

/// A tie as it is to be written: which server, which session, since when.
#[derive(Clone, Copy, Debug)]
pub struct Tie<'s> {
    pub tag: ServerTag,
    /// The server's name in plain tokens.
    pub route: &'s str,
    pub session: SessionNumber,
    pub stamps: Stamps,
}

/// A server as its clients' tokens may name it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'s> {
    pub id: &'s ServerId,
    /// Its name in plain tokens and routes: the id, unless the configuration gives it another.
    pub route: &'s str,
    /// None for a Unix socket.
    pub address: Option<SocketAddr>,
}

/// Whether a stamp is old enough to be written anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    Now,
    Later,
}

/// When an entry can write a tie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writes {
    /// In any response.
    Always,
    /// In a response in which the application names the session.
    WhenSpoken,
    /// In the session table, whatever the response.
    InTable,
    Never,
}

/// What the application says of its session in a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spoken {
    Silent,
    /// It names a session.
    Creates,
    /// It ends one.
    Deletes,
}

impl Chain {
    /// Makes the chain of an upstream whose servers are `members`. The cookies that it reads are entered in `names`.
    ///
    /// # Errors
    /// An entry is to learn into a table that is not there, or names 65,536 servers already.
    pub fn new(
        spec: StickySpec,
        secrets: &Secrets,
        tables: &Tables,
        members: &[Member<'_>],
        names: &mut CookieNames,
    ) -> Result<Self, Unlearnable> {
        let scope = spec.scope;
        let entry = |EntrySpec { way, strict }| {
            let kind = match way {
                Way::Cookie(cookie) => {
                    EntryKind::Cookie(Box::new(CookieEntry::new(cookie, &scope, secrets, members, names)))
                }
                Way::Header(header) => EntryKind::Header(Box::new(HeaderEntry::new(header, &scope, secrets, members))),
                Way::Route(route) => EntryKind::Route(RouteEntry::new(route, names)),
                Way::Hash(hash) => EntryKind::Hash(HashEntry::new(hash, names)),
                Way::Learn(learn) => EntryKind::Learn(Box::new(LearnEntry::new(learn, tables, members, names)?)),
            };
            Ok(Entry { kind, strict })
        };
        let entries = spec.entries.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { entries, affinity: spec.affinity })
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn affinity(&self) -> &AffinitySpec {
        &self.affinity
    }

    /// Whether what is written depends on the host that the client came to: the Domain attribute does.
    pub fn reads_host(&self) -> bool {
        self.cookies().any(CookieEntry::reads_host)
    }

    /// Whether what is written depends on the page that the request came from: what scripts may read does.
    pub fn reads_origin(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.kind, EntryKind::Header(_)))
    }

    fn cookies(&self) -> impl Iterator<Item = &CookieEntry> {
        self.entries.iter().filter_map(|entry| match &entry.kind {
            EntryKind::Cookie(cookie) => Some(&**cookie),
            EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => None,
        })
    }
}
