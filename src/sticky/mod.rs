//! What ties a session to a server: the entries of an upstream's chain. It reads requests and writes tokens; it never asks
//! which servers are up.

pub mod claim;
pub mod cookie;
pub mod identity;
pub mod lifetime;
pub mod spec;
pub mod token;

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue};
use rand_core::CryptoRng;

use crate::http::cookie::{CookieName, Forwarded, forward};
use crate::http::request::{Request, Scheme};
use crate::time::Now;
use crate::upstream::ServerId;
use claim::Claim;
use cookie::CookieEntry;
use spec::{EntrySpec, NewTieOn, Scope, StickySpec};
use token::keys::KeyRing;
use token::{ServerTag, SessionNumber, Stamps};

/// The entries of one upstream, in the order in which they are asked.
#[derive(Debug)]
pub struct Chain {
    scope: Scope,
    entries: Box<[Entry]>,
    /// Cookies that servers never see.
    hidden: Box<[CookieName]>,
}

/// One way of tying, ready for use.
#[derive(Debug)]
pub enum Entry {
    Cookie(CookieEntry),
}

/// A tie as it is to be written: which server, which session, since when.
#[derive(Clone, Copy, Debug)]
pub struct Tie<'s> {
    pub server: &'s ServerId,
    pub tag: ServerTag,
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

impl Chain {
    pub fn new(spec: StickySpec, keys: &Arc<KeyRing>) -> Self {
        let entries: Box<[Entry]> = spec
            .entries
            .into_iter()
            .map(|entry| match entry {
                EntrySpec::Cookie(cookie) => Entry::Cookie(CookieEntry::new(cookie, &spec.scope, keys)),
            })
            .collect();
        let hidden = entries.iter().map(|entry| entry.cookie().clone()).collect();
        Self { scope: spec.scope, entries, hidden }
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the server is to see of the request's cookies: all but ours, crumbs (several Cookie lines) merged.
    pub fn forwarded_cookies(&self, headers: &HeaderMap) -> Forwarded {
        forward(headers, &self.hidden)
    }

    /// Whether a server that sets the cookie of this name would be setting ours.
    pub fn owns(&self, name: &[u8]) -> bool {
        self.hidden.iter().any(|hidden| hidden.as_str().as_bytes() == name)
    }
}

impl Entry {
    /// What the request says of its session to this entry.
    pub fn claim(&self, request: &Request<'_>, now: Now) -> Claim {
        match self {
            Self::Cookie(entry) => entry.claim(request.headers, now),
        }
    }

    /// The Set-Cookie that carries the tie to the client.
    pub fn write(&self, tie: &Tie<'_>, scheme: Scheme, random: &mut impl CryptoRng) -> Option<HeaderValue> {
        match self {
            Self::Cookie(entry) => entry.write(tie, scheme, random),
        }
    }

    /// Whether a tie with these stamps is to be written anew.
    pub fn renewal(&self, stamps: Stamps, now: Now) -> Due {
        match self {
            Self::Cookie(entry) => entry.renewal(stamps, now),
        }
    }

    pub fn new_tie_on(&self) -> NewTieOn {
        match self {
            Self::Cookie(entry) => entry.new_tie_on(),
        }
    }

    fn cookie(&self) -> &CookieName {
        match self {
            Self::Cookie(entry) => entry.name(),
        }
    }
}
