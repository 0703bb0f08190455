//! The Forwarded header (RFC 7239) as bytes: what each of its elements says of a hop, and how an element is written. It must not
//! know who is trusted.
//!
//! Elements are read from the right. What stands to the left of an element was sent by an earlier hop, at worst by the client, and
//! must not change how the element is read: a quote that the client leaves open ends at its own element. In valid text a quoted
//! string reads the same in both directions, as each quote inside it has a backslash before it and the opening one has `=`.
//!
//! Values without quotes may have characters that need them, such as the colon of a port: many proxies write them so.

use std::borrow::Cow;
use std::net::IpAddr;

use ::http::header::FORWARDED;
use ::http::{HeaderMap, HeaderValue};

use super::address_of;

/// What one proxy says of the peer that it had.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Element<'l> {
    /// None: `unknown`, an obfuscated name, no `for` at all, or an element that is malformed.
    pub hop: Option<IpAddr>,
    /// How the peer reached the proxy. None if it is not a URI scheme.
    pub proto: Option<Cow<'l, [u8]>>,
}

/// The elements of all lines, from the last to the first.
pub(super) fn elements(headers: &HeaderMap) -> impl Iterator<Item = Element<'_>> {
    let lines = headers.get_all(FORWARDED).iter().rev().map(HeaderValue::as_bytes);
    lines.flat_map(|line| parts(line, b',')).map(|element| read(element).unwrap_or_default())
}

/// The last element's `proto`, which is the peer's own.
pub(super) fn proto(headers: &HeaderMap) -> Option<Cow<'_, [u8]>> {
    elements(headers).next()?.proto
}

/// Appends `for=192.0.2.1` or `for="[2001:db8::1]"`. Takes the address as text too, because the peer's is at hand.
pub(super) fn write_for(address: IpAddr, text: &str, out: &mut String) {
    match address {
        IpAddr::V4(_) => out.extend(["for=", text]),
        IpAddr::V6(_) => out.extend(["for=\"[", text, "]\""]),
    }
}

/// Appends a quoted string.
pub(super) fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

/// The parts between separators outside quotes, from the last to the first, trimmed and without empty ones.
fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    let next = move || {
        let text = rest?;
        let at = last_outside_quotes(text, separator);
        rest = at.map(|at| &text[..at]);
        Some(&text[at.map_or(0, |at| at + 1)..])
    };
    std::iter::from_fn(next).map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

fn last_outside_quotes(text: &[u8], separator: u8) -> Option<usize> {
    let mut is_quoted = false;
    for (at, &byte) in text.iter().enumerate().rev() {
        match byte {
            b'"' if is_quoted => is_quoted = at > 0 && text[at - 1] == b'\\',
            b'"' => is_quoted = true,
            _ if byte == separator && !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// None if the element is malformed, or says something twice.
fn read(element: &[u8]) -> Option<Element<'_>> {
    let (mut node, mut proto) = (None, None);
    for pair in parts(element, b';') {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&pair[..equals], value(&pair[equals + 1..])?);
        let said = if name.eq_ignore_ascii_case(b"for") {
            &mut node
        } else if name.eq_ignore_ascii_case(b"proto") {
            &mut proto
        } else {
            continue;
        };
        if said.replace(value).is_some() {
            return None;
        }
    }
    let proto = proto.filter(|word| super::is_uri_scheme(word));
    Some(Element { hop: node.and_then(|node| address(&node)), proto })
}

/// A token or a quoted string.
fn value(written: &[u8]) -> Option<Cow<'_, [u8]>> {
    match written {
        [] => None,
        [b'"', inner @ .., b'"'] => unescaped(inner),
        _ => written.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'"').then_some(Cow::Borrowed(written)),
    }
}

/// The inside of a quoted string without its backslashes. None if a quote inside it has none.
fn unescaped(inner: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !inner.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => text.push(*bytes.next()?),
            _ => text.push(byte),
        }
    }
    Some(Cow::Owned(text))
}

/// The address of a node, with or without a port, which may be obfuscated: `192.0.2.1:_p`.
fn address(node: &[u8]) -> Option<IpAddr> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let colon = node.windows(2).rposition(|pair| pair == b":_");
    let colon = colon.filter(|colon| node.len() > colon + 2 && node[colon + 2..].iter().all(is_name));
    address_of(&node[..colon.unwrap_or(node.len())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines<'l>(lines: impl IntoIterator<Item = &'l [u8]>) -> HeaderMap {
        lines.into_iter().map(|line| (FORWARDED, HeaderValue::from_bytes(line).unwrap())).collect()
    }

    /// What the elements say, from the first to the last.
    fn said(text: &[&str]) -> Vec<String> {
        let headers = lines(text.iter().map(|line| line.as_bytes()));
        let one = |Element { hop, proto }| {
            let hop = hop.map_or_else(|| "-".to_owned(), |hop: IpAddr| hop.to_string());
            let proto = proto.map(|word: Cow<'_, [u8]>| String::from_utf8(word.into_owned()).unwrap());
            format!("{hop} {}", proto.as_deref().unwrap_or("-"))
        };
        let mut said: Vec<_> = elements(&headers).map(one).collect();
        said.reverse();
        said
    }

    #[test]
    fn an_element_names_a_hop_and_its_scheme() {
        assert_eq!(said(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), ["192.0.2.60 http"]);
        assert_eq!(said(&["For=\"[2001:db8:cafe::17]:4711\""]), ["2001:db8:cafe::17 -"]);
        assert_eq!(said(&["proto=https;host=\"a:80\""]), ["- https"]);
        assert_eq!(
            said(&["for=192.0.2.43, for=198.51.100.17;PROTO=\"HTTPS\"", "for=\"192.0.2.1\""]),
            ["192.0.2.43 -", "198.51.100.17 HTTPS", "192.0.2.1 -"]
        );
        assert_eq!(said(&["", " , ,"]), [""; 0]);
        assert_eq!(said(&[" ; for=192.0.2.1 ;; proto=http; ,"]), ["192.0.2.1 http"]);
    }

    #[test]
    fn a_node_is_an_address_with_or_without_a_port_or_none() {
        for node in [
            "192.0.2.1",
            "\"192.0.2.1:80\"",
            "192.0.2.1:80",
            "\"192.0.2.1:_p-1\"",
            "\"1\\92.0.2.1\"",
            "\"[::ffff:192.0.2.1]\"",
        ] {
            assert_eq!(said(&[&format!("for={node}")]), ["192.0.2.1 -"], "{node}");
        }
        for node in ["\"[2001:db8::1]\"", "\"[2001:db8::1]:_x\"", "[2001:db8::1]", "\"2001:db8::1\""] {
            assert_eq!(said(&[&format!("for={node}")]), ["2001:db8::1 -"], "{node}");
        }
        for node in [
            "unknown",
            "_hidden",
            "_192.0.2.1",
            "\"192.0.2.1:\"",
            "\"192.0.2.1:_\"",
            "\"192.0.2.1:_a b\"",
            "192.0.2",
            "\"\"",
        ] {
            assert_eq!(said(&[&format!("for={node};proto=http")]), ["- http"], "{node}");
        }
    }

    #[test]
    fn separators_in_quotes_separate_nothing() {
        let host = "for=192.0.2.1;host=\"a, for=192.0.2.2;proto=ftp \\\" \\\\\";proto=http";
        assert_eq!(said(&[host]), ["192.0.2.1 http"]);
        assert_eq!(said(&[&format!("for=_a, {host}, for=_b")]), ["- -", "192.0.2.1 http", "- -"]);
    }

    #[test]
    fn a_malformed_element_says_nothing() {
        for element in [
            "for",
            "for=",
            "for=192.0.2.1;proto=",
            "for=192.0.2.1;host=\"a",
            "for=192.0.2.1;host=a\"",
            "for=192.0.2.1;host=\"a\"b\"",
            "for=192.0.2.1;host=\"a\\\"",
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1;proto=http;Proto=https",
            "for=192.0.2.1 proto=http",
            "for=192.0.2.1;x",
        ] {
            assert_eq!(said(&[element]), ["- -"], "{element}");
        }
        assert_eq!(said(&["for=192.0.2.1;proto=\"http, https\""]), ["192.0.2.1 -"], "not a scheme");
    }

    /// What a header may consist of, with much of what elements are made of.
    fn any_line() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            Just(b"for=".to_vec()),
            Just(b"192.0.2.1".to_vec()),
            Just(b"\"".to_vec()),
            Just(b"\\".to_vec()),
            Just(b",".to_vec()),
            Just(b";proto=https".to_vec()),
            Just(b"\"[2001:db8::1]:_p\"".to_vec()),
            prop::collection::vec(32..=255u8, 0..4),
        ];
        prop::collection::vec(word, 0..12)
            .prop_map(|words| words.concat())
            .prop_filter("a header's value", |line| HeaderValue::from_bytes(line).is_ok())
    }

    fn written((address, host, proto): &(IpAddr, String, String)) -> String {
        let mut element = String::new();
        write_for(*address, &address.to_string(), &mut element);
        element.push_str(";host=");
        write_quoted(host, &mut element);
        element + ";proto=" + proto
    }

    fn any_said() -> impl Strategy<Value = (IpAddr, String, String)> {
        (any::<IpAddr>().prop_map(|ip| ip.to_canonical()), "[ -~]{0,12}|[,;=\"\\\\]{0,6}", "[a-z][a-z0-9+.-]{0,5}")
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(text in prop::collection::vec(any_line(), 0..3)) {
            let headers = lines(text.iter().map(Vec::as_slice));
            let commas = text.concat().iter().filter(|&&byte| byte == b',').count();
            prop_assert!(elements(&headers).count() <= text.len() + commas);
        }

        #[test]
        fn what_is_written_is_read_whatever_stands_before_it(before in any_line(), said in prop::collection::vec(any_said(), 1..4)) {
            let text: Vec<_> = said.iter().map(written).collect();
            let line = [&before, b"," as &[u8], text.join(", ").as_bytes()].concat();
            let headers = lines([line.as_slice()]);
            let read: Vec<_> = elements(&headers).take(said.len()).collect();
            let expected: Vec<_> = said.iter().rev().map(|(address, _, proto)| Element {
                hop: Some(*address),
                proto: Some(Cow::Borrowed(proto.as_bytes())),
            }).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
