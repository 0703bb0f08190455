//! The Cookie header of requests: the values that a name has in it, and what of it goes on to the server.
//!
//! A request may carry several Cookie lines (HTTP/2 splits them into crumbs, RFC 9113 8.2.3) and one name several times.
//! Reading is tolerant, as a Cookie header is whatever the client has gathered; names compare exactly, upper and lower case
//! apart. What a value means is not asked here.

use std::fmt;
use std::sync::Arc;

use ::http::header::COOKIE;
use ::http::{HeaderMap, HeaderValue};
use memchr::memchr;
use smallvec::SmallVec;

/// The longest name taken, in characters. RFC 6265bis allows 4,096 for name and value together.
const LONGEST_NAME: usize = 128;

/// A cookie's name: a token (RFC 6265bis 4.1.1) of at most 128 characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CookieName(Arc<str>);

/// Why a text is not a cookie's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCookieName {
    #[error("a cookie's name must not be empty")]
    Empty,
    #[error("a cookie's name has at most {LONGEST_NAME} characters")]
    TooLong,
    #[error("{0:?} is not allowed in a cookie's name: it is made of letters, digits and any of !#$%&'*+-.^_`|~")]
    Character(char),
}

impl CookieName {
    /// Takes a name as the user wrote it.
    ///
    /// # Errors
    /// [`InvalidCookieName`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidCookieName> {
        if text.is_empty() {
            return Err(InvalidCookieName::Empty);
        }
        if let Some(bad) = text.chars().find(|&c| !is_token_character(c)) {
            return Err(InvalidCookieName::Character(bad));
        }
        if text.len() > LONGEST_NAME {
            return Err(InvalidCookieName::TooLong);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `tchar` of RFC 9110 5.6.2.
fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every value of the cookie, in the order sent, from all Cookie lines, without white space and double quotes around it.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a CookieName) -> impl Iterator<Item = &'a [u8]> {
    lines(headers).flat_map(segments).filter_map(split_pair).filter_map(|(found, value)| {
        let ours = found == name.as_str().as_bytes();
        ours.then(|| unquoted(value))
    })
}

/// The names that requests are searched for, numbered, so that a Cookie header is walked once for all of them.
#[derive(Clone, Debug, Default)]
pub struct CookieNames(Vec<CookieName>);

/// The cookies of certain names that a request carries.
#[derive(Clone, Debug, Default)]
pub struct Cookies<'r> {
    found: SmallVec<[(usize, &'r [u8]); 4]>,
}

impl CookieNames {
    /// The number of a name, which is added if it is new.
    pub fn number(&mut self, name: &CookieName) -> usize {
        self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.clone());
            self.0.len() - 1
        })
    }

    pub fn find<'r>(&self, headers: &'r HeaderMap) -> Cookies<'r> {
        if self.0.is_empty() {
            return Cookies::default();
        }
        let pairs = lines(headers).flat_map(segments).filter_map(split_pair);
        let ours = |name: &[u8]| self.0.iter().position(|known| known.as_str().as_bytes() == name);
        Cookies { found: pairs.filter_map(|(name, value)| Some((ours(name)?, unquoted(value)))).collect() }
    }
}

impl<'r> Cookies<'r> {
    /// Every value of the cookie of this number, in the order sent, without white space and double quotes around it.
    pub fn values(&self, number: usize) -> impl Iterator<Item = &'r [u8]> + '_ {
        self.found.iter().filter(move |(at, _)| *at == number).map(|&(_, value)| value)
    }
}

/// What becomes of the Cookie header on its way to the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Forwarded {
    /// It is fine as it stands, or there is none.
    AsIs,
    /// All of it was hidden: the header goes.
    Nothing,
    /// One line in place of all that are there.
    Replaced(HeaderValue),
}

/// Removes the cookies of the hidden names and makes one line of several. All other cookies stay byte for byte, and so does
/// what stands between two of them, but for one `; ` where two lines met.
pub fn forward(headers: &HeaderMap, hidden: &[CookieName]) -> Forwarded {
    let is_hidden = |segment: &&[u8]| {
        split_pair(segment).is_some_and(|(name, _)| hidden.iter().any(|hidden| hidden.as_str().as_bytes() == name))
    };
    let mut all = lines(headers);
    match (all.next(), all.next()) {
        (None, _) => return Forwarded::AsIs,
        (Some(line), None) if !segments(line).any(|segment| is_hidden(&segment)) => return Forwarded::AsIs,
        (Some(_), _) => {}
    }
    let mut merged = Vec::with_capacity(lines(headers).map(|line| line.len() + 2).sum());
    for line in lines(headers) {
        append_kept(&mut merged, line, is_hidden);
    }
    if merged.is_empty() {
        return Forwarded::Nothing;
    }
    HeaderValue::try_from(merged).map_or(Forwarded::Nothing, Forwarded::Replaced)
}

/// Adds what is kept of a line, unless that is only blanks.
fn append_kept(merged: &mut Vec<u8>, line: &[u8], is_hidden: impl Fn(&&[u8]) -> bool) {
    let kept = || segments(line).filter(|segment| !is_hidden(segment));
    if kept().all(|segment| segment.trim_ascii().is_empty()) {
        return;
    }
    if !merged.is_empty() {
        merged.extend_from_slice(b"; ");
    }
    for (position, segment) in kept().enumerate() {
        match position {
            0 => merged.extend_from_slice(segment.trim_ascii_start()),
            _ => {
                merged.push(b';');
                merged.extend_from_slice(segment);
            }
        }
    }
}

fn lines(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes)
}

fn segments(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let left = rest?;
        let (segment, after) = memchr(b';', left).map_or((left, None), |at| (&left[..at], Some(&left[at + 1..])));
        rest = after;
        Some(segment)
    })
}

/// Name and value of one pair. A segment without `=` is a value without a name, never one of ours.
fn split_pair(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b'=', segment)?;
    let (name, value) = segment.split_at(at);
    Some((name.trim_ascii(), value[1..].trim_ascii()))
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] => inside,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> CookieName {
        CookieName::parse(text).unwrap()
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn read(lines: &[&str]) -> Vec<String> {
        let headers = headers(lines);
        values(&headers, &name("B")).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    fn forwarded(lines: &[&str]) -> Forwarded {
        forward(&headers(lines), &[name("B"), name("C")])
    }

    fn replaced(text: &str) -> Forwarded {
        Forwarded::Replaced(HeaderValue::from_str(text).unwrap())
    }

    #[test]
    fn a_cookies_name_is_a_token() {
        assert_eq!(name("__Host-a.b").as_str(), "__Host-a.b");
        assert_eq!(CookieName::parse(""), Err(InvalidCookieName::Empty));
        assert_eq!(CookieName::parse("a b"), Err(InvalidCookieName::Character(' ')));
        assert_eq!(CookieName::parse("a=b"), Err(InvalidCookieName::Character('=')));
        assert_eq!(CookieName::parse("ä"), Err(InvalidCookieName::Character('ä')));
        assert_eq!(CookieName::parse(&"a".repeat(129)), Err(InvalidCookieName::TooLong));
    }

    #[test]
    fn values_come_from_all_lines_in_order() {
        assert_eq!(read(&["a=1; B=2", "B=3", "c=4;B=5"]), ["2", "3", "5"]);
    }

    #[test]
    fn names_match_whole_and_exactly() {
        assert_eq!(read(&["b=1; BB=2; xB=3; B.x=4; B"]), [""; 0]);
        assert_eq!(read(&["x=B=1; B=a=b"]), ["a=b"]);
    }

    #[test]
    fn white_space_and_quotes_around_a_value_do_not_count() {
        assert_eq!(read(&["  B  = \"1\"\t; B=\"; B=\"\"; B= ; ;=;;"]), ["1", "\"", "", ""]);
    }

    #[test]
    fn a_line_without_a_hidden_name_goes_on_as_it_is() {
        for line in ["a=1; b=2", "B", "a=B=1;;", "", " x"] {
            assert_eq!(forwarded(&[line]), Forwarded::AsIs, "{line:?}");
        }
        assert_eq!(forwarded(&[]), Forwarded::AsIs);
    }

    #[test]
    fn hidden_cookies_go_wherever_they_stand() {
        assert_eq!(forwarded(&["B=1; a=2"]), replaced("a=2"));
        assert_eq!(forwarded(&["a=2; B=1"]), replaced("a=2"));
        assert_eq!(forwarded(&["a=2;B=1;  b=\"3 \"; C=4; d"]), replaced("a=2;  b=\"3 \"; d"));
    }

    #[test]
    fn a_header_of_nothing_but_hidden_cookies_goes() {
        assert_eq!(forwarded(&["B=1"]), Forwarded::Nothing);
        assert_eq!(forwarded(&["B=1; ", "; C=2;B=3"]), Forwarded::Nothing);
    }

    #[test]
    fn crumbs_become_one_line() {
        assert_eq!(forwarded(&["a=1", "b=2"]), replaced("a=1; b=2"));
        assert_eq!(forwarded(&["B=1", "b=2", "", "C=3; c=4"]), replaced("b=2; c=4"));
    }

    /// The plain way: every cookie on its own, trimmed, without the hidden ones.
    fn model(lines: &[String]) -> Vec<String> {
        let cookies =
            lines.iter().flat_map(|line| line.split(';')).map(|cookie| cookie.trim_matches([' ', '\t']).to_owned());
        let shown = |cookie: &String| cookie.split_once('=').is_none_or(|(name, _)| !["B", "C"].contains(&name.trim_end()));
        cookies.filter(|cookie| !cookie.is_empty()).filter(shown).collect()
    }

    proptest! {
        #[test]
        fn what_goes_on_is_every_other_cookie_byte_for_byte(lines in proptest::collection::vec("[aBC=; \t\"]{0,24}", 0..4)) {
            let shown: Vec<&str> = lines.iter().map(String::as_str).collect();
            let after = match forwarded(&shown) {
                Forwarded::AsIs => lines.clone(),
                Forwarded::Nothing => vec![],
                Forwarded::Replaced(line) => vec![line.to_str().unwrap().to_owned()],
            };
            prop_assert!(after.len() <= 1);
            prop_assert_eq!(model(&after), model(&lines));
            for line in lines.iter().filter(|line| model(&[line.to_string()]).len() == line.split(';').count()) {
                prop_assert!(after[0].contains(line.trim_start_matches([' ', '\t'])), "{line:?} in {after:?}");
            }
        }

        #[test]
        fn reading_is_total_on_any_header(bytes in proptest::collection::vec(32..=255u8, 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(COOKIE, value)]);
                let _ = values(&headers, &name("B")).count();
                let _ = forward(&headers, &[name("B")]);
            }
        }
    }
}
