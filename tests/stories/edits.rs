//! Everything in a request or a response that is not Burdock's passes byte for byte. The tests look from outside and read headers
//! in the simplest way.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use crate::language::{Visit, lb};

const CHAIN: &str = "[{cookie: {name: S, token: plain}}, {cookie: {name: P, mode: prefix, token: plain}},
    {header: {name: X-S, token: plain}}, {header: {name: X-E, mode: envelope, token: plain}}]";
const REQUEST_HEADERS: [&str; 6] = ["x-s", "x-e", "x-other", "accept", "authorization", "burdock-affinity"];
const RESPONSE_HEADERS: [&str; 5] = ["x-s", "x-e", "x-other", "etag", "burdock-affinity"];
const OURS: [&str; 4] = ["x-s", "x-e", "burdock-affinity", "cookie"];
const OURS_IN_RESPONSES: [&str; 5] = ["x-s", "x-e", "burdock-affinity", "set-cookie", "cache-control"];

fn visit(request: &HeaderMap, response: &HeaderMap) -> Visit {
    let lb = lb(["a", "b"]).sticky(CHAIN).answers_with_headers(response);
    let mut client = lb.client();
    client.headers = request.clone();
    client.visits(1).only()
}

fn texts<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

/// All headers except those of these names. Values of one name keep their order; the order of the names does not matter.
fn others<'h>(headers: &'h HeaderMap, ours: &[&str]) -> BTreeMap<&'h str, Vec<&'h HeaderValue>> {
    let names = headers.keys().map(HeaderName::as_str).filter(|name| !ours.contains(name));
    names.map(|name| (name, headers.get_all(name).iter().collect())).collect()
}

/// The single cookies of a request.
fn cookies<'h>(lines: &[&'h str]) -> Vec<&'h str> {
    lines.iter().flat_map(|line| line.split(';')).map(str::trim).filter(|cookie| !cookie.is_empty()).collect()
}

/// What the server should see of a cookie.
fn shown(cookie: &str) -> Option<String> {
    let Some((name, value)) = cookie.split_once('=') else { return Some(cookie.to_owned()) };
    match name.trim() {
        "S" => None,
        "P" => {
            let (blanks, value) = value.split_at(value.len() - value.trim_start().len());
            let quote = if value.len() > 1 && value.starts_with('"') && value.ends_with('"') { "\"" } else { "" };
            let inside = &value[quote.len()..value.len() - quote.len()];
            Some(format!("{name}={blanks}{quote}{}{quote}", unwrapped(inside)))
        }
        _ => Some(cookie.to_owned()),
    }
}

/// The value after a plain token.
fn unwrapped(value: &str) -> &str {
    let in_an_id = |c: char| c.is_ascii_graphic() && !"\",;\\".contains(c);
    match value.split_once('~') {
        Some((token, rest)) if !token.is_empty() && token.chars().all(in_an_id) => rest,
        Some(_) | None => value,
    }
}

fn name_of(line: &str) -> &str {
    let pair = line.split(';').next().unwrap();
    pair.split_once('=').map_or("", |(name, _)| name.trim())
}

/// Whether `line` is `earlier` unchanged or with a server's plain token before its value.
fn is_prefixed(line: &str, earlier: &str) -> bool {
    let (name, value) = earlier.split_once('=').unwrap();
    let blanks = value.len() - value.trim_start().len();
    line == earlier
        || ["a~", "b~"].iter().any(|token| line == format!("{name}={}{token}{}", &value[..blanks], &value[blanks..]))
}

fn headers(names: &'static [&'static str], cookie: &'static str) -> impl Strategy<Value = HeaderMap> {
    let piece = "[SPQ]{0,2}[ ]?=[ ]?(a~|b~|c~|~| )?\"?[ab~]{0,3}\"?[ ]?|Q|| Max-Age=0| Path=/";
    let line = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.join(";"));
    let other = (prop::sample::select(names), "(a~|b~|release|move-to=b| )?[ab~]{0,3}");
    let all = (prop::collection::vec(line, 0..4), prop::collection::vec(other, 0..5));
    all.prop_map(move |(cookies, others)| {
        let mut headers = HeaderMap::new();
        for line in cookies {
            headers.append(cookie, HeaderValue::from_str(line.trim()).unwrap());
        }
        for (name, value) in others {
            headers.insert(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        headers
    })
}

proptest! {
    #[test]
    fn headers_that_are_not_burdocks_pass_unchanged(
        request in headers(&REQUEST_HEADERS, "cookie"), response in headers(&RESPONSE_HEADERS, "set-cookie")
    ) {
        let visit = visit(&request, &response);
        prop_assert_eq!(others(&visit.seen, &OURS), others(&request, &OURS));
        prop_assert_eq!(others(&visit.received, &OURS_IN_RESPONSES), others(&response, &OURS_IN_RESPONSES));
    }

    #[test]
    fn the_server_sees_its_own_cookies_and_none_of_burdocks(request in headers(&REQUEST_HEADERS, "cookie")) {
        let Visit { seen, .. } = visit(&request, &HeaderMap::new());
        let expected: Vec<String> = cookies(&texts(&request, "cookie")).into_iter().filter_map(shown).map(|cookie| cookie.trim().to_owned()).collect();
        prop_assert_eq!(cookies(&texts(&seen, "cookie")), expected);
        prop_assert_eq!(texts(&seen, "x-s"), [""; 0]);
        let inside: Vec<&str> = texts(&request, "x-e").into_iter().map(unwrapped).collect();
        prop_assert_eq!(texts(&seen, "x-e"), inside);
    }

    #[test]
    fn the_client_gets_every_server_cookie_with_at_most_a_token_prefix(
        request in headers(&REQUEST_HEADERS, "cookie"), response in headers(&RESPONSE_HEADERS, "set-cookie")
    ) {
        let Visit { received, set_cookie, .. } = visit(&request, &response);
        let mut lines = texts(&received, "set-cookie");
        for ours in set_cookie {
            prop_assert_eq!(lines.pop(), Some(&*ours));
            prop_assert_eq!(name_of(&ours), "S");
        }
        let sent: Vec<&str> = texts(&response, "set-cookie").into_iter().filter(|line| name_of(line) != "S").collect();
        prop_assert_eq!(lines.len(), sent.len());
        for (line, sent) in lines.into_iter().zip(sent) {
            let edited = name_of(sent) == "P" && is_prefixed(line, sent);
            prop_assert!(line == sent || edited, "{:?} became {:?}", sent, line);
        }
        prop_assert_eq!(texts(&received, "burdock-affinity"), [""; 0]);
    }
}
