//! A Set-Cookie header of a server, parsed in place: its name, its value, whether it deletes the cookie, and the same
//! header with another value. An edit keeps all other bytes.

use std::ops::Range;

use ::http::HeaderValue;
use memchr::memchr;

use super::attributes::MAX_LENGTH;
use super::cookie_date::cookie_date;
use super::is_cookie_byte;

/// A Set-Cookie header of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetCookieLine<'a> {
    line: &'a [u8],
    name: &'a [u8],
    /// The range of the value in the line.
    value: Range<usize>,
    /// After the first `;`.
    attributes: &'a [u8],
}

impl<'a> SetCookieLine<'a> {
    /// None if the header sets no cookie, or one without a name.
    pub fn parse(header: &'a HeaderValue) -> Option<Self> {
        let line = header.as_bytes();
        let end = memchr(b';', line).unwrap_or(line.len());
        let equals = memchr(b'=', &line[..end])?;
        let name = line[..equals].trim_ascii();
        if name.is_empty() {
            return None;
        }
        let start = end - line[equals + 1..end].trim_ascii_start().len();
        let value = start..start + line[start..end].trim_ascii_end().len();
        Some(Self { line, name, value, attributes: line.get(end + 1..).unwrap_or_default() })
    }

    /// Without surrounding white space.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// With its quotes, without surrounding white space.
    pub fn value(&self) -> &'a [u8] {
        &self.line[self.value.clone()]
    }

    /// Whether this makes a browser delete the cookie: by Max-Age, which takes precedence, or by an Expires in the
    /// past. The last one of a repeated attribute counts; invalid ones are ignored (RFC 6265bis 5.6 and 5.7). `now` is
    /// in Unix seconds.
    pub fn deletes(&self, now: u32) -> bool {
        let by_age = self.attributes("max-age").filter_map(age).last();
        let by_date = || {
            let expires = self.attributes("expires").filter_map(cookie_date).last();
            expires.is_some_and(|date| date <= i64::from(now))
        };
        by_age.map_or_else(by_date, |age| age == Age::Expired)
    }

    /// Its Path, Max-Age and Expires as they follow a value, for a cookie that is to live as this one does. The last of a
    /// repeated attribute counts.
    pub fn path_and_times(&self) -> Vec<u8> {
        let last = |name| self.attributes(name).last().map(|value| [b"; ", name.as_bytes(), b"=", value].concat());
        ["Path", "Max-Age", "Expires"].into_iter().filter_map(last).flatten().collect()
    }

    /// Its Path as it follows a value.
    pub fn path(&self) -> Vec<u8> {
        self.attributes("Path").last().map(|value| [b"; Path=", value].concat()).unwrap_or_default()
    }

    /// The header with `new` in place of the value and its quotes. None if `new` is not a valid cookie value (RFC
    /// 6265bis `cookie-octet`).
    pub fn with_value(&self, new: &[u8]) -> Option<HeaderValue> {
        self.spliced(new, self.value.clone())
    }

    /// The header with `prefix` directly before the value and its quotes. None if `prefix` is not valid in a cookie
    /// value.
    pub fn with_prefix(&self, prefix: &[u8]) -> Option<HeaderValue> {
        self.spliced(prefix, self.value.start..self.value.start)
    }

    fn spliced(&self, new: &[u8], replaced: Range<usize>) -> Option<HeaderValue> {
        if !new.iter().copied().all(is_cookie_byte) {
            return None;
        }
        let header = [&self.line[..replaced.start], new, &self.line[replaced.end..]].concat();
        HeaderValue::try_from(header).ok()
    }

    /// The values of all attributes of this name, in order.
    fn attributes(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.attributes.split(|&byte| byte == b';').filter_map(move |attribute| {
            let at = memchr(b'=', attribute)?;
            let value = attribute[at + 1..].trim_ascii();
            let named = attribute[..at].trim_ascii().eq_ignore_ascii_case(name.as_bytes());
            (named && value.len() <= MAX_LENGTH).then_some(value)
        })
    }
}

/// Whether a Max-Age ends the cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Age {
    /// Zero or less.
    Expired,
    Future,
}

/// Parses a Max-Age (RFC 6265bis 5.6.2). Only its sign matters here, however many digits it has.
fn age(text: &[u8]) -> Option<Age> {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zero = digits.iter().all(|&digit| digit == b'0');
    Some(if negative || zero { Age::Expired } else { Age::Future })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-01 00:00:00 UTC.
    const NOW: u32 = 1_767_225_600;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_bytes(text.as_bytes()).unwrap()
    }

    fn parts(text: &str) -> Option<(String, String)> {
        let header = header(text);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        SetCookieLine::parse(&header).map(|line| (shown(line.name()), shown(line.value())))
    }

    fn deletes(attributes: &str) -> bool {
        SetCookieLine::parse(&header(&format!("a=b{attributes}"))).unwrap().deletes(NOW)
    }

    fn edited(text: &str, edit: impl Fn(&SetCookieLine<'_>) -> Option<HeaderValue>) -> String {
        let header = header(text);
        let edited = edit(&SetCookieLine::parse(&header).unwrap()).unwrap();
        String::from_utf8(edited.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_first_equals_sign_separates_name_and_value() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(parts("a=b; Path=/"), pair("a", "b"));
        assert_eq!(parts(" a \t= b c ;x"), pair("a", "b c"));
        assert_eq!(parts("a=\"b=c\""), pair("a", "\"b=c\""));
        assert_eq!(parts("a=;"), pair("a", ""));
        assert_eq!(parts("a=  \t"), pair("a", ""));
        assert_eq!(parts("a=\"b;c\""), pair("a", "\"b"));
        assert_eq!(parts("a=ä"), pair("a", "ä"));
    }

    #[test]
    fn a_header_without_a_name_is_none() {
        for text in ["", "a", "a; b=c", "=b", " =b; a=c", ";a=b"] {
            assert_eq!(parts(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_max_age_of_zero_or_less_deletes() {
        for text in ["; Max-Age=0", ";max-age = 0 ", ";MAX-AGE=-1", "; Max-Age=-0", "; Max-Age=000; Path=/"] {
            assert!(deletes(text), "{text}");
        }
        for text in ["", "; Max-Age=1", "; Max-Age=99999999999999999999999", "; Max-Age", "; x-Max-Age=0"] {
            assert!(!deletes(text), "{text}");
        }
    }

    #[test]
    fn an_expires_in_the_past_deletes() {
        for date in ["Thu, 01-Jan-1970 00:00:01 GMT", "Wed, 31 Dec 2025 23:59:59 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"] {
            assert!(deletes(&format!("; Path=/; expires={date}")), "{date}");
        }
        assert!(!deletes("; Expires=Thu, 01 Jan 2026 00:00:01 GMT"));
        assert!(!deletes("; Expires=Fri, 31 Dec 9999 23:59:59 GMT"));
    }

    #[test]
    fn max_age_takes_precedence_over_expires() {
        assert!(!deletes("; Max-Age=60; Expires=Thu, 01-Jan-1970 00:00:01 GMT"));
        assert!(!deletes("; Expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=60"));
        assert!(deletes("; Max-Age=0; Expires=Fri, 31 Dec 9999 23:59:59 GMT"));
    }

    #[test]
    fn the_last_of_two_attributes_counts() {
        assert!(deletes("; Max-Age=60; Max-Age=0"));
        assert!(!deletes("; Max-Age=0; Max-Age=60"));
        assert!(!deletes("; Expires=Thu, 01-Jan-1970 00:00:01 GMT; Expires=Fri, 31 Dec 9999 23:59:59 GMT"));
    }

    #[test]
    fn invalid_attributes_are_ignored() {
        for text in ["", "-", "+0", "0x0", "0.0", "\"0\"", "zero", "--1"] {
            assert!(!deletes(&format!("; Max-Age={text}")), "{text}");
            assert!(deletes(&format!("; Max-Age=0; Max-Age={text}")), "{text}");
        }
        assert!(deletes("; Max-Age=; Expires=Thu, 01-Jan-1970 00:00:01 GMT"));
        assert!(!deletes("; Expires=yesterday"));
        assert!(!deletes(&format!("; Max-Age={}", "0".repeat(1025))), "too long for browsers");
        assert!(deletes(&format!("; Max-Age={}", "0".repeat(1024))));
    }

    #[test]
    fn a_value_is_replaced_with_its_quotes_and_nothing_else() {
        let replaced = |text| edited(text, |line| line.with_value(b"NEW"));
        assert_eq!(replaced("a=b; Path=/; httponly"), "a=NEW; Path=/; httponly");
        assert_eq!(replaced(" a = \"b c\" ;Foo=\"a=b\";; "), " a = NEW ;Foo=\"a=b\";; ");
        assert_eq!(replaced("a=; Max-Age=0"), "a=NEW; Max-Age=0");
        assert_eq!(replaced("a="), "a=NEW");
    }

    #[test]
    fn a_prefix_goes_before_the_value_and_its_quotes() {
        let prefixed = |text| edited(text, |line| line.with_prefix(b"TOKEN~"));
        assert_eq!(prefixed("a=b; Path=/"), "a=TOKEN~b; Path=/");
        assert_eq!(prefixed("a= \"b\";x"), "a= TOKEN~\"b\";x");
        assert_eq!(prefixed("a=;x"), "a=TOKEN~;x");
    }

    #[test]
    fn an_edit_cannot_add_attributes() {
        let header = header("a=b");
        let line = SetCookieLine::parse(&header).unwrap();
        for new in [&b"x; Domain=evil"[..], b"x\r\nY: z", b"x y", b"\"x\"", b"\xc3\xa4"] {
            assert_eq!((line.with_value(new), line.with_prefix(new)), (None, None), "{new:?}");
        }
    }

    proptest! {
        #[test]
        fn an_edit_keeps_all_other_bytes(bytes in prop_oneof![
            proptest::collection::vec(32..=255u8, 0..64),
            "[ab=; \t\"]{0,24}".prop_map(String::into_bytes),
        ]) {
            let Ok(header) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let Some(line) = SetCookieLine::parse(&header) else { return Ok(()) };
            let _ = line.deletes(NOW);
            let back = line.with_value(b"").unwrap();
            prop_assert_eq!(back.len() + line.value().len(), header.len());
            for edited in [line.with_value(b"NEW").unwrap(), line.with_prefix(b"NEW~").unwrap()] {
                let again = SetCookieLine::parse(&edited).unwrap();
                prop_assert_eq!(again.name(), line.name());
                prop_assert!(again.value().starts_with(b"NEW"));
                prop_assert_eq!(again.attributes, line.attributes);
                let undone = again.spliced(b"", again.value.clone()).unwrap();
                prop_assert_eq!(undone, &back);
            }
            let prefixed = line.with_prefix(b"NEW~").unwrap();
            let again = SetCookieLine::parse(&prefixed).unwrap();
            prop_assert_eq!(again.value().strip_prefix(b"NEW~"), Some(line.value()));
        }

        #[test]
        fn a_new_value_is_parsed_unchanged(value in "[!#-+--:<-\\[\\]-~]{0,40}") {
            let header = HeaderValue::from_static("a= \"old\" ; Path=/");
            let edited = SetCookieLine::parse(&header).unwrap().with_value(value.as_bytes()).unwrap();
            prop_assert_eq!(SetCookieLine::parse(&edited).unwrap().value(), value.as_bytes());
        }
    }
}
