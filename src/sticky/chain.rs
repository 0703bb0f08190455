//! The entries of one upstream, and what they change in its requests and responses.

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

/// What an upstream's sessions are tied by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickySpec {
    pub scope: Scope,
    /// In the order in which they are asked; none means plain load balancing.
    pub entries: Vec<EntrySpec>,
    pub affinity: AffinitySpec,
}

impl StickySpec {
    /// Where the secrets are that its entries need beside the keys.
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

/// What of a request is edited, and the cookies that its chain was made with.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'r> {
    pub headers: &'r HeaderMap,
    pub names: &'r CookieNames,
}

impl Chain {
    /// Makes the chain of an upstream with these servers. The cookies that it reads are entered in `cookies`.
    ///
    /// # Errors
    /// An entry is to learn into a table that is not there, or names 65,536 servers already.
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

    /// Whether what is written depends on the host that the client came to: the Domain attribute does.
    pub fn reads_host(&self) -> bool {
        self.entries.iter().any(Entry::reads_host)
    }

    /// Whether what is written depends on the page that the request came from: what scripts may read does.
    pub fn reads_origin(&self) -> bool {
        self.entries.iter().any(Entry::reads_origin)
    }

    /// Whether the server is to see the Cookie header as it came.
    pub fn cookie_header(&self, cookies: &Cookies<'_>, now: Now) -> CookieHeader {
        let passes = cookies.are_unchanged(|number, value| self.edit_of(number, value, now));
        if passes { CookieHeader::AsIs } else { CookieHeader::Edited }
    }

    /// What the server is to see of the request: no tokens of ours, crumbs (several Cookie lines) merged, everything else as
    /// it came. `cookie` is what [`Self::cookie_header`] said.
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

    /// What becomes of a response with these headers, given what each entry carries to the client.
    pub fn edit_response(
        &self,
        headers: &HeaderMap,
        carried: &[Option<Carried>],
        reader: &Reader<'_>,
        now: Now,
        edits: &mut Edits,
    ) {
        if let Some(lines) = self.server_cookies(headers, carried, now) {
            edits.replace(SET_COOKIE, lines);
        }
        for (entry, carried) in self.entries.iter().zip(carried) {
            entry.edit_response(headers, carried.as_ref(), reader, edits);
        }
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
        let mut entries = self.entries.iter().zip(carried);
        let becomes = entries.find_map(|(entry, carried)| entry.server_line(&line, carried.as_ref(), now));
        becomes.unwrap_or(ServerLine::AsIs)
    }
}
