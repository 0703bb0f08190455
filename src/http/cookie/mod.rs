//! The Cookie header of requests: finds the values of a name, and edits the header before it goes to the server.
//!
//! A request may carry several Cookie lines (HTTP/2 splits them into crumbs, RFC 9113 8.2.3) and one name several
//! times. Parsing is tolerant, because a Cookie header contains whatever the client has collected. Names are
//! case-sensitive. This module does not interpret values.

mod forwarded;
mod name;
#[cfg(test)]
mod tests;

use ::http::header::COOKIE;
use ::http::{HeaderMap, HeaderValue};
use memchr::{memchr, memchr_iter};
use smallvec::SmallVec;

use forwarded::append_kept;
pub use forwarded::{CookieEdit, Forwarded};
pub use name::{CookieName, InvalidCookieName};

/// The names to look for in requests, numbered, so that one pass over a Cookie header finds them all.
#[derive(Clone, Debug, Default)]
pub struct CookieNames {
    names: Vec<CookieName>,
    /// Their first characters, one bit for each: most cookies are skipped by their first character, however many names
    /// there are.
    firsts: u128,
}

/// The cookies of certain names that a request carries.
#[derive(Clone, Debug)]
pub struct Cookies<'r> {
    found: SmallVec<[(usize, &'r [u8]); 4]>,
    lines: usize,
}

impl CookieNames {
    /// The number of a name, which is added if it is new.
    pub fn number(&mut self, name: &CookieName) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.firsts |= name.as_str().bytes().next().map_or(0, bit);
            self.names.push(name.clone());
            self.names.len() - 1
        })
    }

    pub fn find<'r>(&self, headers: &'r HeaderMap) -> Cookies<'r> {
        let mut cookies = Cookies { found: SmallVec::new(), lines: 0 };
        for line in lines(headers) {
            cookies.lines += 1;
            if !self.names.is_empty() {
                cookies.found.extend(segments(line).filter_map(|segment| self.find_in(segment)));
            }
        }
        cookies
    }

    /// Removes cookies, removes prefixes from their values, and joins several lines to one. `edit_of` gets the number
    /// and the value, without quotes, of each cookie that has one of the names. All other cookies are kept byte for
    /// byte, and so are the separators, except for one `; ` where two lines are joined. Not for a header that [stays
    /// unchanged](Cookies::are_unchanged).
    pub fn edit(&self, headers: &HeaderMap, edit_of: impl Fn(usize, &[u8]) -> CookieEdit) -> Forwarded {
        let of = |segment: &[u8]| self.find_in(segment).map_or(CookieEdit::Keep, |(number, value)| edit_of(number, value));
        let all = headers.get_all(COOKIE);
        let mut merged = Vec::with_capacity(all.iter().map(|line| line.len() + 2).sum());
        for line in all {
            append_kept(&mut merged, line.as_bytes(), of);
        }
        if merged.is_empty() {
            return Forwarded::Nothing;
        }
        HeaderValue::try_from(merged).map_or(Forwarded::Nothing, Forwarded::Replaced)
    }

    fn find_in<'r>(&self, segment: &'r [u8]) -> Option<(usize, &'r [u8])> {
        let first = *segment.trim_ascii_start().first()?;
        if self.firsts & bit(first) == 0 {
            return None;
        }
        let (name, value) = split_pair(segment)?;
        let number = self.names.iter().position(|known| known.as_str().as_bytes() == name)?;
        Some((number, unquoted(value)))
    }
}

/// No bit for bytes that no name contains.
fn bit(byte: u8) -> u128 {
    1_u128.checked_shl(byte.into()).unwrap_or(0)
}

impl<'r> Cookies<'r> {
    /// All values of the cookie with this number, in the order sent, without surrounding white space and double quotes.
    pub fn values(&self, number: usize) -> impl Iterator<Item = &'r [u8]> + '_ {
        self.found.iter().filter(move |(at, _)| *at == number).map(|&(_, value)| value)
    }

    /// Whether the header goes to the server unchanged, or there is none.
    pub fn are_unchanged(&self, edit_of: impl Fn(usize, &[u8]) -> CookieEdit) -> bool {
        self.lines < 2 && self.found.iter().all(|&(number, value)| edit_of(number, value) == CookieEdit::Keep)
    }
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes)
}

fn segments(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b';', line).chain([line.len()]).map(move |end| {
        let segment = &line[start..end];
        start = end + 1;
        segment
    })
}

/// Name and value of one pair. A segment without `=` is a value without a name, so never one of ours.
fn split_pair(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b'=', segment)?;
    let (name, value) = segment.split_at(at);
    Some((name.trim_ascii(), value[1..].trim_ascii()))
}

/// A cookie's value without the double quotes around it.
pub(crate) fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] => inside,
        _ => value,
    }
}
