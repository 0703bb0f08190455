//! One entry of a chain, whatever its kind: what it says of a request and of a response, and what it can write.

use ::http::HeaderMap;
use rand_core::CryptoRng;

use super::answers::AppSignal;
use super::cookie::CookieEntry;
use super::found::{HashEntry, RouteEntry};
use super::header::HeaderEntry;
use super::learn::{Carrying, LearnEntry, Purpose};
use super::spec::{Caching, Methods, NewTieOn, Strict};
use crate::http::cookie::Cookies;
use crate::http::request::Request;
use crate::session::claim::Claim;
use crate::session::lifetime::Due;
use crate::session::stamps::Stamps;
use crate::session::tie::Tie;
use crate::sticky::answers::Writes;
use crate::time::Now;

/// One way of tying, ready for use.
#[derive(Debug)]
pub struct Entry {
    pub kind: EntryKind,
    pub strict: Strict,
}

#[derive(Debug)]
pub enum EntryKind {
    Cookie(Box<CookieEntry>),
    Header(Box<HeaderEntry>),
    Route(RouteEntry),
    Hash(HashEntry),
    Learn(Box<LearnEntry>),
}

impl Entry {
    /// What the request says of its session to this entry; `carrying` is what [`Self::carrying`] gave.
    pub fn claim<'r>(
        &self,
        request: &Request<'r>,
        cookies: &Cookies<'r>,
        carrying: Option<&Carrying>,
        purpose: Purpose,
        now: Now,
    ) -> Claim<'r> {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.claim(cookies, now),
            EntryKind::Header(entry) => entry.claim(request, now),
            EntryKind::Route(entry) => entry.claim(request, cookies),
            EntryKind::Hash(entry) => entry.claim(request, cookies),
            EntryKind::Learn(entry) => carrying.map_or(Claim::Absent, |carrying| entry.claim(&carrying.names, purpose, now)),
        }
    }

    /// The names that the request carries for this entry. None for an entry that learns none.
    pub fn carrying<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Option<Carrying> {
        match &self.kind {
            EntryKind::Learn(entry) => Some(entry.carrying(request, cookies)),
            EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Hash(_) => None,
        }
    }

    /// A token for a tie. None for an entry that writes none.
    pub fn token(&self, tie: &Tie<'_>, random: &mut impl CryptoRng) -> Option<String> {
        match &self.kind {
            EntryKind::Cookie(entry) => Some(entry.codec.make(tie, random)),
            EntryKind::Header(entry) => Some(entry.codec.make(tie, random)),
            EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => None,
        }
    }

    pub fn writes(&self) -> Writes {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.writes(),
            EntryKind::Header(entry) => entry.writes(),
            EntryKind::Route(_) | EntryKind::Hash(_) => Writes::Never,
            EntryKind::Learn(_) => Writes::InTable,
        }
    }

    /// What the application says of its session in a response with these headers.
    pub fn spoken(&self, headers: &HeaderMap, now: Now) -> AppSignal {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.spoken(headers, now),
            EntryKind::Header(entry) => entry.spoken(headers),
            EntryKind::Learn(entry) => entry.spoken(headers, now),
            EntryKind::Route(_) | EntryKind::Hash(_) => AppSignal::Silent,
        }
    }

    /// Whether the server keeps Burdock from writing, by a cookie of its own that is to pass.
    pub fn is_preserved(&self, headers: &HeaderMap) -> bool {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.is_preserved(headers),
            EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => false,
        }
    }

    /// The idle time of the tokens that this entry makes, in seconds. None where they have none, or it makes none.
    pub fn idle(&self) -> Option<u32> {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.codec.idle(),
            EntryKind::Header(entry) => entry.codec.idle(),
            EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => None,
        }
    }

    /// Whether a tie with these stamps is to be written anew.
    pub fn renewal(&self, stamps: Stamps, now: Now) -> Due {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.renewal(stamps, now),
            EntryKind::Header(entry) => entry.renewal(stamps, now),
            EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => Due::Later,
        }
    }

    pub fn new_tie_on(&self) -> NewTieOn {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.new_tie_on(),
            EntryKind::Header(entry) => entry.new_tie_on(),
            EntryKind::Learn(entry) => entry.new_tie_on(),
            EntryKind::Route(_) | EntryKind::Hash(_) => NewTieOn::default(),
        }
    }

    pub fn methods(&self) -> Methods {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.methods(),
            EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => Methods::All,
        }
    }

    pub fn caching(&self) -> Caching {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.caching(),
            EntryKind::Header(entry) => entry.caching(),
            EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => Caching::Leave,
        }
    }
}
