//! The entries of one upstream, and what they change in its requests and responses.

use ::http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue};

use super::answers::Writes;
use super::cookie::{CookieEntry, ServerLine};
use super::edits::{Carried, CookieHeader, Origin, Reader, RequestEdits, ResponseEdits};
use super::entry::{Entry, EntryKind};
use super::found::{HashEntry, RouteEntry};
use super::header::HeaderEntry;
use super::learn::{LearnEntry, Tables, Unlearnable};
use super::secrets::Secrets;
use super::spec::{AffinitySpec, EntrySpec, Expose, StickySpec, Way};
use crate::http::cookie::{CookieEdit, CookieNames, Cookies, Forwarded};
use crate::http::expose;
use crate::http::set_cookie::SetCookieLine;
use crate::session::server_ref::ServerRef;
use crate::time::Now;

/// The entries of one upstream, in the order in which they are asked.
#[derive(Debug)]
pub struct Chain {
    entries: Box<[Entry]>,
    affinity: AffinitySpec,
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
        members: &[ServerRef<'_>],
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
        let passes = cookies.are_unchanged(|number, value| self.edit_of(number, value, now));
        if passes { CookieHeader::AsIs } else { CookieHeader::Edited }
    }

    /// What the server is to see of the request: no tokens of ours, crumbs (several Cookie lines) merged, everything else as
    /// it came. `cookie` is what [`Self::cookie_header`] said, `names` are those that this chain was made with.
    pub fn request_edits(&self, headers: &HeaderMap, names: &CookieNames, cookie: CookieHeader, now: Now) -> RequestEdits {
        let cookie = match cookie {
            CookieHeader::AsIs => Forwarded::AsIs,
            CookieHeader::Edited => names.edit(headers, |number, value| self.edit_of(number, value, now)),
        };
        let mut edits = RequestEdits { cookie, remove: Vec::new(), set: Vec::new() };
        for entry in &self.entries {
            if let EntryKind::Header(header) = &entry.kind {
                header.edit(headers, now, &mut edits);
            }
        }
        edits
    }

    fn edit_of(&self, number: usize, value: &[u8], now: Now) -> CookieEdit {
        self.cookies().find_map(|cookie| cookie.edit_of(number, value, now)).unwrap_or(CookieEdit::Keep)
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
        let exposed = expose::expose(headers, header.name());
        edits.set.extend(exposed.map(|value| (ACCESS_CONTROL_EXPOSE_HEADERS, value)));
    }
}
