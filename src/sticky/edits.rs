//! What a chain changes in requests before servers see them, and in responses before clients do.

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderName, HeaderValue};

use super::cookie::ServerLine;
use super::entry::EntryKind;
use super::header::HeaderEntry;
use super::spec::Expose;
use super::{Chain, Writes};
use crate::http::cookie::{CookieNames, Cookies, Forwarded, Passage};
use crate::http::request::Scheme;
use crate::http::set_cookie::SetCookieLine;
use crate::time::Now;

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
