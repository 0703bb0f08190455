//! What ties a session to a server: the entries of an upstream's chain. It reads requests and writes tokens; it never asks
//! which servers are up.

pub mod affinity;
pub mod claim;
pub mod cookie;
pub mod estimate;
pub mod found;
pub mod header;
pub mod identity;
pub mod learn;
pub mod lifetime;
mod mint;
mod secret;
pub mod spec;
pub mod stored;
pub mod table;
pub mod token;

use std::net::SocketAddr;

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use rand_core::CryptoRng;

use crate::http::cookie::{CookieNames, Cookies, Forwarded, Passage};
use crate::http::request::{Request, Scheme};
use crate::http::set_cookie::SetCookieLine;
use crate::time::Now;
use crate::upstream::ServerId;
use claim::Claim;
use cookie::{CookieEntry, ServerLine};
use found::{HashEntry, RouteEntry};
use header::HeaderEntry;
use learn::{Carrying, LearnEntry, Sight, Tables, Unlearnable};
use spec::{AffinitySpec, Caching, EntrySpec, Expose, Methods, NewTieOn, StickySpec, Strict, Way};
use token::secrets::Secrets;
use token::{ServerTag, SessionNumber, Stamps};

/// The entries of one upstream, in the order in which they are asked.
#[derive(Debug)]
pub struct Chain {
    entries: Box<[Entry]>,
    affinity: AffinitySpec,
}

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

/// Whether the Cookie header goes on as it came. Known when its claims are, so that it need not be walked again to find out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieHeader {
    AsIs,
    Edited,
}

/// What is to be changed in a request before its server sees it.
#[derive(Debug)]
pub struct RequestEdits {
    pub cookie: Forwarded,
    pub remove: Vec<HeaderName>,
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// What a response carries to the client of one entry.
#[derive(Clone, Debug)]
pub enum Carried {
    Token(String),
    /// The client is to forget the tie.
    Deletion,
}

/// What is to be changed in a response because of its entries.
#[derive(Debug, Default)]
pub struct ResponseEdits {
    /// What the server's own Set-Cookie lines become where one of them is changed or dropped.
    pub server_cookies: Option<Vec<HeaderValue>>,
    /// Set-Cookie lines to add.
    pub cookies: Vec<HeaderValue>,
    pub remove: Vec<HeaderName>,
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// Who is to read the response.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'r> {
    pub scheme: Scheme,
    pub host: &'r str,
    pub origin: Origin,
}

/// Whether a request came from a page of another origin, as far as browsers say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    Other,
    Same,
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

    /// Whether the server is to see the Cookie header as it came.
    pub fn cookie_header(&self, cookies: &Cookies<'_>, now: Now) -> CookieHeader {
        let passes = cookies.pass(|number, value| self.passage(number, value, now));
        if passes { CookieHeader::AsIs } else { CookieHeader::Edited }
    }

    /// What the server is to see of the request: no tokens of ours, crumbs (several Cookie lines) merged, everything else as
    /// it came. `cookie` is what [`Self::cookie_header`] said, `names` are those that this chain was made with.
    pub fn request_edits(&self, headers: &HeaderMap, names: &CookieNames, cookie: CookieHeader, now: Now) -> RequestEdits {
        let cookie = match cookie {
            CookieHeader::AsIs => Forwarded::AsIs,
            CookieHeader::Edited => names.edit(headers, |number, value| self.passage(number, value, now)),
        };
        let mut edits = RequestEdits { cookie, remove: Vec::new(), set: Vec::new() };
        for entry in &self.entries {
            if let EntryKind::Header(header) = &entry.kind {
                header.edit(headers, now, &mut edits);
            }
        }
        edits
    }

    fn passage(&self, number: usize, value: &[u8], now: Now) -> Passage {
        self.cookies().find_map(|cookie| cookie.passage(number, value, now)).unwrap_or(Passage::AsIs)
    }

    /// What becomes of a response with these headers, given what each entry carries to the client.
    pub fn response_edits(
        &self,
        headers: &HeaderMap,
        carried: &[Option<Carried>],
        reader: &Reader<'_>,
        now: Now,
    ) -> ResponseEdits {
        let mut edits =
            ResponseEdits { server_cookies: self.server_cookies(headers, carried, now), ..ResponseEdits::default() };
        for (entry, carried) in self.entries.iter().zip(carried) {
            match &entry.kind {
                EntryKind::Cookie(cookie) if cookie.writes() == Writes::Always => {
                    edits.cookies.extend(carried.as_ref().and_then(|carried| match carried {
                        Carried::Token(token) => cookie.render(token, reader.scheme, reader.host),
                        Carried::Deletion => cookie.deletion(reader.scheme, reader.host),
                    }));
                }
                EntryKind::Header(header) => header_edits(header, headers, carried.as_ref(), reader.origin, &mut edits),
                EntryKind::Cookie(_) | EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => {}
            }
        }
        edits
    }

    /// The server's Set-Cookie lines as they go on; None where all go on as they are.
    fn server_cookies(&self, headers: &HeaderMap, carried: &[Option<Carried>], now: Now) -> Option<Vec<HeaderValue>> {
        let mut lines = headers.get_all(SET_COOKIE).iter().peekable();
        lines.peek()?;
        let mut changed = false;
        let mut kept = Vec::new();
        for value in lines {
            match self.server_line(value, carried, now) {
                ServerLine::AsIs => kept.push(value.clone()),
                ServerLine::Dropped => changed = true,
                ServerLine::Replaced(other) => {
                    changed = true;
                    kept.push(other);
                }
            }
        }
        changed.then_some(kept)
    }

    fn server_line(&self, value: &HeaderValue, carried: &[Option<Carried>], now: Now) -> ServerLine {
        let Some(line) = SetCookieLine::parse(value) else { return ServerLine::AsIs };
        let owner = self.entries.iter().zip(carried).find_map(|(entry, carried)| match &entry.kind {
            EntryKind::Cookie(cookie) if cookie.name().as_str().as_bytes() == line.name() => Some((cookie, carried)),
            EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Hash(_) | EntryKind::Learn(_) => {
                None
            }
        });
        match owner {
            Some((cookie, Some(Carried::Token(token)))) => cookie.rewrite(&line, Some(token), now),
            Some((cookie, Some(Carried::Deletion) | None)) => cookie.rewrite(&line, None, now),
            None => ServerLine::AsIs,
        }
    }
}

fn header_edits(
    header: &HeaderEntry,
    headers: &HeaderMap,
    carried: Option<&Carried>,
    origin: Origin,
    edits: &mut ResponseEdits,
) {
    let value = match carried {
        Some(Carried::Token(token)) => header.render(token, headers),
        Some(Carried::Deletion) if header.owns_response_header() => Some(HeaderValue::from_static("")),
        Some(Carried::Deletion) | None => None,
    };
    let Some(value) = value else {
        if header.owns_response_header() && headers.contains_key(header.name()) {
            edits.remove.push(header.name().clone());
        }
        return;
    };
    edits.set.push((header.name().clone(), value));
    if header.expose() == Expose::On && origin == Origin::Other {
        let exposed = crate::http::expose::expose(headers, header.name());
        edits.set.extend(exposed.map(|value| (::http::header::ACCESS_CONTROL_EXPOSE_HEADERS, value)));
    }
}

impl Entry {
    /// What the request says of its session to this entry; `carrying` is what [`Self::carrying`] gave.
    pub fn claim<'r>(
        &self,
        request: &Request<'r>,
        cookies: &Cookies<'r>,
        carrying: Option<&Carrying>,
        sight: Sight,
        now: Now,
    ) -> Claim<'r> {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.claim(cookies, now),
            EntryKind::Header(entry) => entry.claim(request, now),
            EntryKind::Route(entry) => entry.claim(request, cookies),
            EntryKind::Hash(entry) => entry.claim(request, cookies),
            EntryKind::Learn(entry) => carrying.map_or(Claim::Absent, |carrying| entry.claim(&carrying.names, sight, now)),
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
            EntryKind::Cookie(entry) => Some(entry.mint.make(tie, random)),
            EntryKind::Header(entry) => Some(entry.mint.make(tie, random)),
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
    pub fn spoken(&self, headers: &HeaderMap, now: Now) -> Spoken {
        match &self.kind {
            EntryKind::Cookie(entry) => entry.spoken(headers, now),
            EntryKind::Header(entry) => entry.spoken(headers),
            EntryKind::Learn(entry) => entry.spoken(headers, now),
            EntryKind::Route(_) | EntryKind::Hash(_) => Spoken::Silent,
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
            EntryKind::Cookie(entry) => entry.mint.idle(),
            EntryKind::Header(entry) => entry.mint.idle(),
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
