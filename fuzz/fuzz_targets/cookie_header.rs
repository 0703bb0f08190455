//! Any Cookie header can be read and edited. What is forwarded has nothing of Burdock's; everything else passes byte for byte.
#![no_main]

use burdock::http::cookie::{CookieName, CookieNames, Forwarded, CookieEdit};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: Vec<Vec<u8>>| {
    let hidden = CookieName::parse("B").expect("a name");
    let prefixed = CookieName::parse("P").expect("a name");
    let mut headers = HeaderMap::new();
    for line in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(COOKIE, line);
    }
    let mut names = CookieNames::default();
    let [b, p] = [&hidden, &prefixed].map(|name| names.number(name));
    let cookies = names.find(&headers);
    assert!(cookies.values(b).eq(values(&headers, "B")));
    let edit_of = |number: usize, value: &[u8]| match number {
        number if number == b => CookieEdit::Remove,
        number if number == p => prefix(value).map_or(CookieEdit::Keep, CookieEdit::StripPrefix),
        _ => CookieEdit::Keep,
    };
    let forwarded = if cookies.are_unchanged(edit_of) { Forwarded::AsIs } else { names.edit(&headers, edit_of) };
    let forwarded = match forwarded {
        Forwarded::AsIs => headers.clone(),
        Forwarded::Nothing => HeaderMap::new(),
        Forwarded::Replaced(line) => HeaderMap::from_iter([(COOKIE, line)]),
    };
    assert!(forwarded.get_all(COOKIE).iter().count() <= 1);
    assert_eq!(values(&forwarded, "B").count(), 0);
    assert_eq!(values(&forwarded, "P").count(), values(&headers, "P").count());
    assert_eq!(others(&forwarded), others(&headers));
});

/// The values of a name, found in the simplest way.
fn values<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h [u8]> {
    let segments = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    let pairs = segments.filter_map(|segment| {
        let at = segment.iter().position(|&byte| byte == b'=')?;
        Some((segment[..at].trim_ascii(), segment[at + 1..].trim_ascii()))
    });
    pairs.filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| match value {
        [b'"', inside @ .., b'"'] => inside,
        _ => value,
    })
}

/// The length of the prefix before the application's value.
fn prefix(value: &[u8]) -> Option<usize> {
    value.iter().position(|&byte| byte == b'~').map(|at| at + 1)
}

/// Every cookie that is neither hidden nor prefixed, trimmed.
fn others(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let cookies = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    let name = |cookie: &[u8]| cookie.iter().position(|&byte| byte == b'=').map(|at| cookie[..at].trim_ascii().to_vec());
    let ours = |cookie: &[u8]| matches!(name(cookie).as_deref(), Some(b"B" | b"P"));
    cookies.map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty() && !ours(cookie)).map(<[u8]>::to_vec).collect()
}
