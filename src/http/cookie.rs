//! The Cookie header of requests: the values that a name has in it, and what of it goes on to the server.
//!
//! A request may carry several Cookie lines (HTTP/2 splits them into crumbs, RFC 9113 8.2.3) and one name several times.
//! Reading is tolerant, as a Cookie header is whatever the client has gathered; names compare exactly, upper and lower case
//! apart. What a value means is not asked here.

use std::fmt;
use std::sync::Arc;

use ::http::header::COOKIE;
use ::http::{HeaderMap, HeaderValue};
use memchr::{memchr, memchr_iter};
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

/// The names that requests are searched for, numbered, so that a Cookie header is walked once for all of them.
#[derive(Clone, Debug, Default)]
pub struct CookieNames {
    names: Vec<CookieName>,
    /// Their first characters, one bit for each: most cookies are passed over by theirs, whatever the number of names.
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
                cookies.found.extend(segments(line).filter_map(|segment| self.take(segment)));
            }
        }
        cookies
    }

    /// Hides cookies, cuts what was put before their values, and makes one line of several. `passage` is given the number and
    /// the value, without quotes, of each cookie that has one of the names. All others stay byte for byte, and so does what
    /// stands between two cookies, but for one `; ` where two lines met. Not for a header that [passes](Cookies::pass).
    pub fn edit(&self, headers: &HeaderMap, passage: impl Fn(usize, &[u8]) -> Passage) -> Forwarded {
        let of = |segment: &[u8]| self.take(segment).map_or(Passage::AsIs, |(number, value)| passage(number, value));
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

    fn take<'r>(&self, segment: &'r [u8]) -> Option<(usize, &'r [u8])> {
        let first = *segment.trim_ascii_start().first()?;
        if self.firsts & bit(first) == 0 {
            return None;
        }
        let (name, value) = split_pair(segment)?;
        let number = self.names.iter().position(|known| known.as_str().as_bytes() == name)?;
        Some((number, unquoted(value)))
    }
}

/// No bit for what no name holds.
fn bit(octet: u8) -> u128 {
    1_u128.checked_shl(octet.into()).unwrap_or(0)
}

impl<'r> Cookies<'r> {
    /// Every value of the cookie of this number, in the order sent, without white space and double quotes around it.
    pub fn values(&self, number: usize) -> impl Iterator<Item = &'r [u8]> + '_ {
        self.found.iter().filter(move |(at, _)| *at == number).map(|&(_, value)| value)
    }

    /// Whether the server may see the header as it stands, or there is none.
    pub fn pass(&self, passage: impl Fn(usize, &[u8]) -> Passage) -> bool {
        self.lines < 2 && self.found.iter().all(|&(number, value)| passage(number, value) == Passage::AsIs)
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

/// What becomes of one cookie on its way to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passage {
    AsIs,
    /// The server does not see it.
    Hidden,
    /// Without so many octets at the beginning of its value. Quotes around the value stay, and do not count.
    Without(usize),
}

/// Adds what is kept of a line, unless that is only blanks.
fn append_kept(merged: &mut Vec<u8>, line: &[u8], passage: impl Fn(&[u8]) -> Passage) {
    let before = merged.len();
    let (mut first, mut blank) = (true, true);
    for segment in segments(line) {
        let (head, tail) = match passage(segment) {
            Passage::AsIs => (segment, &b""[..]),
            Passage::Hidden => continue,
            Passage::Without(octets) => around(segment, octets),
        };
        merged.extend_from_slice(match (first, before) {
            (true, 0) => b"",
            (true, _) => b"; ",
            (false, _) => b";",
        });
        merged.extend_from_slice(if first { head.trim_ascii_start() } else { head });
        merged.extend_from_slice(tail);
        blank &= segment.trim_ascii().is_empty();
        first = false;
    }
    if blank {
        merged.truncate(before);
    }
}

/// What stands before and what behind the first `octets` of a pair's value.
fn around(segment: &[u8], octets: usize) -> (&[u8], &[u8]) {
    let behind_name = memchr(b'=', segment).map_or(segment.len(), |at| at + 1);
    let rest = segment[behind_name..].trim_ascii_start();
    let value = rest.trim_ascii_end();
    let inside = unquoted(value);
    let opening_quote = (value.len() - inside.len()) / 2;
    let start = segment.len() - rest.len() + opening_quote;
    (&segment[..start], &segment[start + octets.min(inside.len())..])
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

/// Name and value of one pair. A segment without `=` is a value without a name, never one of ours.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> CookieName {
        CookieName::parse(text).unwrap()
    }

    /// Looks for one name alone, the plain way.
    fn values<'a>(headers: &'a HeaderMap, name: &'a CookieName) -> impl Iterator<Item = &'a [u8]> {
        let pairs = lines(headers).flat_map(segments).filter_map(split_pair);
        pairs.filter(|(found, _)| *found == name.as_str().as_bytes()).map(|(_, value)| unquoted(value))
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    fn read(lines: &[&str]) -> Vec<String> {
        let headers = headers(lines);
        values(&headers, &name("B")).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// What becomes of cookies whose names are all searched for, as a rule by name has it.
    fn forward(headers: &HeaderMap, passage: impl Fn(&[u8], &[u8]) -> Passage) -> Forwarded {
        const NAMES: [&str; 7] = ["B", "C", "P", "Q", "a", "b", "c"];
        let mut names = CookieNames::default();
        for searched in NAMES {
            names.number(&name(searched));
        }
        let passage = |number: usize, value: &[u8]| passage(NAMES[number].as_bytes(), value);
        if names.find(headers).pass(passage) { Forwarded::AsIs } else { names.edit(headers, passage) }
    }

    fn forwarded(lines: &[&str]) -> Forwarded {
        forward(&headers(lines), hide)
    }

    fn hide(name: &[u8], _: &[u8]) -> Passage {
        if name == b"B" || name == b"C" { Passage::Hidden } else { Passage::AsIs }
    }

    /// Cuts what stands before the first `~` of `P`, and hides `B`.
    fn cut(name: &[u8], value: &[u8]) -> Passage {
        let prefix = value.iter().position(|&byte| byte == b'~');
        match (name, prefix) {
            (b"P", Some(at)) => Passage::Without(at + 1),
            (b"B", _) => Passage::Hidden,
            _ => Passage::AsIs,
        }
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
    fn a_prefix_goes_and_the_value_behind_it_stays() {
        let after = |lines: &[&str]| forward(&headers(lines), cut);
        assert_eq!(after(&["P=token~abc"]), replaced("P=abc"));
        assert_eq!(after(&["a=x~y;  P = token~a b \t; Q=x~y"]), replaced("a=x~y;  P = a b \t; Q=x~y"));
        assert_eq!(after(&["P=token~"]), replaced("P="));
        assert_eq!(after(&["P=~~x; B=1"]), replaced("P=~x"));
        assert_eq!(after(&["B=1", "P=1~a; P=2~b", "P=c"]), replaced("P=a; P=b; P=c"));
        assert_eq!(after(&["P=abc; a=1"]), Forwarded::AsIs);
    }

    #[test]
    fn quotes_around_a_prefixed_value_stay() {
        let after = |lines: &[&str]| forward(&headers(lines), cut);
        assert_eq!(after(&["P=\"token~abc\"; a"]), replaced("P=\"abc\"; a"));
        assert_eq!(after(&["P= \"token~\" "]), replaced("P= \"\" "));
        assert_eq!(after(&["P=token~\"abc\""]), replaced("P=\"abc\""), "the application's own");
        assert_eq!(after(&["P=\"token~abc"]), replaced("P=abc"), "a quote that nothing closes is of the value");
    }

    #[test]
    fn no_more_is_cut_than_there_is() {
        let all = |lines: &[&str]| forward(&headers(lines), |_, _| Passage::Without(99));
        assert_eq!(all(&["a=1; b=\"2\" ;c= ;d"]), replaced("a=; b=\"\" ;c= ;d"));
        let nothing = |_: &[u8], _: &[u8]| Passage::Without(0);
        assert_eq!(forward(&headers(&["a=1; b=\"2\" ;c="]), nothing), replaced("a=1; b=\"2\" ;c="));
    }

    #[test]
    fn a_search_for_many_names_finds_what_a_search_for_each_finds() {
        let mut names = CookieNames::default();
        let numbers = [names.number(&name("B")), names.number(&name("!x")), names.number(&name("B"))];
        assert_eq!(numbers, [0, 1, 0]);
        let headers = headers(&["a=0;  B=1; !x=\"2\"; Bx=3; x=4", "B = 5;b=6; B"]);
        let found = names.find(&headers);
        assert_eq!(found.values(0).collect::<Vec<_>>(), [b"1", b"5"]);
        assert_eq!(found.values(1).collect::<Vec<_>>(), [b"2"]);
        assert_eq!(found.values(2).count(), 0);
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
        let shown = |cookie: &String| cookie.split_once('=').is_none_or(|(name, _)| !["B", "C"].contains(&name.trim_end()));
        cookies(lines).into_iter().filter(shown).collect()
    }

    /// Every cookie on its own, trimmed.
    fn cookies(lines: &[String]) -> Vec<String> {
        let all = lines.iter().flat_map(|line| line.split(';')).map(|cookie| cookie.trim_matches([' ', '\t']).to_owned());
        all.filter(|cookie| !cookie.is_empty()).collect()
    }

    /// The plain way of [`cut`]: None for a hidden cookie.
    fn cut_model(cookie: String) -> Option<String> {
        let Some((name, raw)) = cookie.split_once('=') else { return Some(cookie) };
        let (blanks, value) = raw.split_at(raw.len() - raw.trim_start().len());
        let whole = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
        let quote = if whole { "\"" } else { "" };
        match (name.trim_end(), value.split_once('~')) {
            ("B", _) => None,
            ("P", Some((_, after))) => Some(format!("{name}={blanks}{quote}{after}")),
            _ => Some(cookie),
        }
    }

    fn after(forwarded: Forwarded, before: &[String]) -> Vec<String> {
        match forwarded {
            Forwarded::AsIs => before.to_vec(),
            Forwarded::Nothing => vec![],
            Forwarded::Replaced(line) => vec![line.to_str().unwrap().to_owned()],
        }
    }

    proptest! {
        #[test]
        fn what_goes_on_is_every_other_cookie_byte_for_byte(lines in proptest::collection::vec("[aBC=; \t\"]{0,24}", 0..4)) {
            let shown: Vec<&str> = lines.iter().map(String::as_str).collect();
            let after = after(forwarded(&shown), &lines);
            prop_assert!(after.len() <= 1);
            prop_assert_eq!(model(&after), model(&lines));
            for line in lines.iter().filter(|line| model(&[line.to_string()]).len() == line.split(';').count()) {
                prop_assert!(after[0].contains(line.trim_start_matches([' ', '\t'])), "{line:?} in {after:?}");
            }
        }

        #[test]
        fn what_is_cut_is_the_prefix_and_nothing_else(lines in proptest::collection::vec("[aBP=;~ \t\"]{0,24}", 0..4)) {
            let shown: Vec<&str> = lines.iter().map(String::as_str).collect();
            let after = after(forward(&headers(&shown), cut), &lines);
            prop_assert!(after.len() <= 1);
            let expected: Vec<String> = cookies(&lines).into_iter().filter_map(cut_model).collect();
            let trimmed: Vec<String> = cookies(&expected);
            prop_assert_eq!(cookies(&after), trimmed);
        }

        #[test]
        fn a_search_finds_the_values_of_its_names(lines in proptest::collection::vec("[aB!=; \t\"]{0,24}", 0..4)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let headers = headers(&lines);
            let mut names = CookieNames::default();
            for searched in ["B", "a", "!B"].map(name) {
                names.number(&searched);
            }
            let found = names.find(&headers);
            for (number, searched) in ["B", "a", "!B"].map(name).iter().enumerate() {
                let alone: Vec<&[u8]> = values(&headers, searched).collect();
                prop_assert_eq!(found.values(number).collect::<Vec<_>>(), alone);
            }
        }

        #[test]
        fn reading_is_total_on_any_header(bytes in proptest::collection::vec(32..=255u8, 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(COOKIE, value)]);
                let _ = values(&headers, &name("B")).count();
                let _ = forward(&headers, cut);
                let _ = forward(&headers, |_, value| Passage::Without(value.len() / 2));
            }
        }
    }
}
