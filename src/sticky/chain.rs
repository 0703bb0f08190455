//! The chain of an upstream: its sticky entries in order, and how they edit its requests and responses. It does not know
//! which server a request gets.

use ::http::header::{COOKIE, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue};

use super::edits::{Carried, CookieHeader, Reader, ServerLine};
use super::entry::{Entry, EntrySpec};
use super::learn::LearnError;
use super::learn_table::Tables;
use super::method::Parts;
use super::secrets::Secrets;
use super::spec::AffinitySpec;
use crate::http::cookie::{CookieEdit, CookieNames, Cookies, Forwarded};
use crate::http::edits::Edits;
use crate::http::set_cookie::SetCookieLine;
use crate::session::named_secret::SecretSource;
use crate::session::scope::Scope;
use crate::session::server_ref::ServerRef;
use crate::time::Now;

/// How an upstream ties its sessions, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickySpec {
    pub scope: Scope,
    /// In the order in which they are asked. Without entries, the upstream only balances load.
    pub entries: Vec<EntrySpec>,
    pub affinity: AffinitySpec,
}

impl StickySpec {
    /// The secrets that its entries need, apart from the keys.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        let accepted = self.entries.iter().flat_map(|entry| entry.method.accepts());
        accepted.filter_map(|accept| accept.format.secret())
    }
}

/// The entries of one upstream, in the order in which they are asked.
#[derive(Debug)]
pub struct Chain {
    entries: Box<[Entry]>,
    affinity: AffinitySpec,
}

/// The parts of a request that are edited, and the cookies that its chain reads.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'r> {
    pub headers: &'r HeaderMap,
    pub names: &'r CookieNames,
}

impl Chain {
    /// Creates the chain of an upstream with these servers, and adds the cookies that it reads to `cookies`.
    ///
    /// # Errors
    /// An entry learns into a table that does not exist, or that already names 65,536 servers.
    pub fn new(
        spec: StickySpec,
        secrets: &Secrets,
        tables: &Tables,
        servers: &[ServerRef<'_>],
        cookies: &mut CookieNames,
    ) -> Result<Self, LearnError> {
        let mut parts = Parts { scope: &spec.scope, secrets, tables, servers, cookies };
        let entry = |EntrySpec { method, strict }| Ok(Entry { method: method.build(&mut parts)?, strict });
        let entries = spec.entries.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { entries, affinity: spec.affinity })
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn affinity(&self) -> &AffinitySpec {
        &self.affinity
    }

    /// Whether what it writes depends on the request's host, as the Domain attribute does.
    pub fn reads_host(&self) -> bool {
        self.entries.iter().any(Entry::reads_host)
    }

    /// Whether what it writes depends on the page that sent the request, as the headers that scripts may read do.
    pub fn reads_origin(&self) -> bool {
        self.entries.iter().any(Entry::reads_origin)
    }

    /// Whether the Cookie header reaches the server unchanged.
    pub fn cookie_header(&self, cookies: &Cookies<'_>, now: Now) -> CookieHeader {
        let passes = cookies.are_unchanged(|number, value| self.edit_of(number, value, now));
        if passes { CookieHeader::AsIs } else { CookieHeader::Edited }
    }

    /// Edits the request for the server: removes our tokens, merges cookie crumbs (several Cookie lines), and leaves the
    /// rest unchanged. `cookie` is the result of [`Self::cookie_header`].
    pub fn edit_request(&self, request: &RequestParts<'_>, cookie: CookieHeader, now: Now, edits: &mut Edits) {
        if cookie == CookieHeader::Edited {
            match request.names.edit(request.headers, |number, value| self.edit_of(number, value, now)) {
                Forwarded::AsIs => {}
                Forwarded::Nothing => edits.remove(COOKIE),
                Forwarded::Replaced(value) => edits.set(COOKIE, value),
            }
        }
        for entry in &self.entries {
            entry.edit_request(request.headers, now, edits);
        }
    }

    fn edit_of(&self, number: usize, value: &[u8], now: Now) -> CookieEdit {
        self.entries.iter().find_map(|entry| entry.edit_of(number, value, now)).unwrap_or(CookieEdit::Keep)
    }

    /// Edits a response with these headers. `carried` is what each entry sends to the client. Returns the entry whose cookie a
    /// server set too, so that the server's was dropped.
    pub fn edit_response(
        &self,
        headers: &HeaderMap,
        carried: &[Option<Carried>],
        reader: &Reader<'_>,
        now: Now,
        edits: &mut Edits,
    ) -> Option<usize> {
        let mut dropped = None;
        if let Some(lines) = self.server_cookies(headers, carried, now, &mut dropped) {
            edits.replace(SET_COOKIE, lines);
        }
        for (entry, carried) in self.entries.iter().zip(carried) {
            entry.edit_response(headers, carried.as_ref(), reader, edits);
        }
        dropped
    }

    /// The server's Set-Cookie lines after editing. None if none of them changes.
    fn server_cookies(
        &self,
        headers: &HeaderMap,
        carried: &[Option<Carried>],
        now: Now,
        dropped: &mut Option<usize>,
    ) -> Option<Vec<HeaderValue>> {
        let mut lines = headers.get_all(SET_COOKIE).iter().peekable();
        lines.peek()?;
        let mut changed = false;
        let mut kept = Vec::new();
        for value in lines {
            match self.server_line(value, carried, now) {
                Some((nth, ServerLine::Dropped)) => {
                    changed = true;
                    *dropped = Some(nth);
                }
                Some((_, ServerLine::Replaced(other))) => {
                    changed = true;
                    kept.push(other);
                }
                Some((_, ServerLine::AsIs)) | None => kept.push(value.clone()),
            }
        }
        changed.then_some(kept)
    }

    /// The edit of a line, and the entry that makes it.
    fn server_line(&self, value: &HeaderValue, carried: &[Option<Carried>], now: Now) -> Option<(usize, ServerLine)> {
        let line = SetCookieLine::parse(value)?;
        let mut entries = self.entries.iter().zip(carried).enumerate();
        entries.find_map(|(nth, (entry, carried))| Some((nth, entry.server_line(&line, carried.as_ref(), now)?)))
    }
}
