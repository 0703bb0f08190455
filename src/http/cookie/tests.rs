//! Tables of headers, and properties against a simple implementation.

use super::*;
use proptest::prelude::*;

fn name(text: &str) -> CookieName {
    CookieName::parse(text).unwrap()
}

/// Looks for one name only, in the simplest way.
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

/// Edits cookies whose names are all searched for, by a rule that takes the name.
fn forward(headers: &HeaderMap, edit_of: impl Fn(&[u8], &[u8]) -> CookieEdit) -> Forwarded {
    const NAMES: [&str; 7] = ["B", "C", "P", "Q", "a", "b", "c"];
    let mut names = CookieNames::default();
    for searched in NAMES {
        names.number(&name(searched));
    }
    let edit_of = |number: usize, value: &[u8]| edit_of(NAMES[number].as_bytes(), value);
    if names.find(headers).are_unchanged(edit_of) { Forwarded::AsIs } else { names.edit(headers, edit_of) }
}

fn forwarded(lines: &[&str]) -> Forwarded {
    forward(&headers(lines), hide)
}

fn hide(name: &[u8], _: &[u8]) -> CookieEdit {
    if name == b"B" || name == b"C" { CookieEdit::Remove } else { CookieEdit::Keep }
}

/// Removes the prefix of `P` up to its first `~`, and removes `B`.
fn strip_prefix(name: &[u8], value: &[u8]) -> CookieEdit {
    let prefix = value.iter().position(|&byte| byte == b'~');
    match (name, prefix) {
        (b"P", Some(at)) => CookieEdit::StripPrefix(at + 1),
        (b"B", _) => CookieEdit::Remove,
        _ => CookieEdit::Keep,
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
fn surrounding_white_space_and_quotes_are_not_part_of_a_value() {
    assert_eq!(read(&["  B  = \"1\"\t; B=\"; B=\"\"; B= ; ;=;;"]), ["1", "\"", "", ""]);
}

#[test]
fn a_line_without_a_removed_name_is_unchanged() {
    for line in ["a=1; b=2", "B", "a=B=1;;", "", " x"] {
        assert_eq!(forwarded(&[line]), Forwarded::AsIs, "{line:?}");
    }
    assert_eq!(forwarded(&[]), Forwarded::AsIs);
}

#[test]
fn removed_cookies_may_stand_anywhere() {
    assert_eq!(forwarded(&["B=1; a=2"]), replaced("a=2"));
    assert_eq!(forwarded(&["a=2; B=1"]), replaced("a=2"));
    assert_eq!(forwarded(&["a=2;B=1;  b=\"3 \"; C=4; d"]), replaced("a=2;  b=\"3 \"; d"));
}

#[test]
fn a_prefix_is_removed_and_the_value_kept() {
    let after = |lines: &[&str]| forward(&headers(lines), strip_prefix);
    assert_eq!(after(&["P=token~abc"]), replaced("P=abc"));
    assert_eq!(after(&["a=x~y;  P = token~a b \t; Q=x~y"]), replaced("a=x~y;  P = a b \t; Q=x~y"));
    assert_eq!(after(&["P=token~"]), replaced("P="));
    assert_eq!(after(&["P=~~x; B=1"]), replaced("P=~x"));
    assert_eq!(after(&["B=1", "P=1~a; P=2~b", "P=c"]), replaced("P=a; P=b; P=c"));
    assert_eq!(after(&["P=abc; a=1"]), Forwarded::AsIs);
}

#[test]
fn quotes_around_a_prefixed_value_are_kept() {
    let after = |lines: &[&str]| forward(&headers(lines), strip_prefix);
    assert_eq!(after(&["P=\"token~abc\"; a"]), replaced("P=\"abc\"; a"));
    assert_eq!(after(&["P= \"token~\" "]), replaced("P= \"\" "));
    assert_eq!(after(&["P=token~\"abc\""]), replaced("P=\"abc\""), "the quotes are the application's");
    assert_eq!(after(&["P=\"token~abc"]), replaced("P=abc"), "an unclosed quote is part of the value");
}

#[test]
fn a_prefix_is_at_most_the_whole_value() {
    let all = |lines: &[&str]| forward(&headers(lines), |_, _| CookieEdit::StripPrefix(99));
    assert_eq!(all(&["a=1; b=\"2\" ;c= ;d"]), replaced("a=; b=\"\" ;c= ;d"));
    let nothing = |_: &[u8], _: &[u8]| CookieEdit::StripPrefix(0);
    assert_eq!(forward(&headers(&["a=1; b=\"2\" ;c="]), nothing), replaced("a=1; b=\"2\" ;c="));
}

#[test]
fn one_search_finds_the_cookies_of_all_names() {
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
fn a_header_with_only_removed_cookies_is_removed() {
    assert_eq!(forwarded(&["B=1"]), Forwarded::Nothing);
    assert_eq!(forwarded(&["B=1; ", "; C=2;B=3"]), Forwarded::Nothing);
}

#[test]
fn crumbs_become_one_line() {
    assert_eq!(forwarded(&["a=1", "b=2"]), replaced("a=1; b=2"));
    assert_eq!(forwarded(&["B=1", "b=2", "", "C=3; c=4"]), replaced("b=2; c=4"));
}

/// The simple implementation: all cookies, trimmed, without the removed ones.
fn model(lines: &[String]) -> Vec<String> {
    let shown = |cookie: &String| cookie.split_once('=').is_none_or(|(name, _)| !["B", "C"].contains(&name.trim_end()));
    cookies(lines).into_iter().filter(shown).collect()
}

/// All cookies, trimmed.
fn cookies(lines: &[String]) -> Vec<String> {
    let all = lines.iter().flat_map(|line| line.split(';')).map(|cookie| cookie.trim_matches([' ', '\t']).to_owned());
    all.filter(|cookie| !cookie.is_empty()).collect()
}

/// The simple implementation of [`strip_prefix`]: None for a removed cookie.
fn strip_prefix_model(cookie: String) -> Option<String> {
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
    fn all_other_cookies_are_forwarded_byte_for_byte(lines in proptest::collection::vec("[aBC=; \t\"]{0,24}", 0..4)) {
        let shown: Vec<&str> = lines.iter().map(String::as_str).collect();
        let after = after(forwarded(&shown), &lines);
        prop_assert!(after.len() <= 1);
        prop_assert_eq!(model(&after), model(&lines));
        for line in lines.iter().filter(|line| model(&[line.to_string()]).len() == line.split(';').count()) {
            prop_assert!(after[0].contains(line.trim_start_matches([' ', '\t'])), "{line:?} in {after:?}");
        }
    }

    #[test]
    fn only_the_prefix_is_removed(lines in proptest::collection::vec("[aBP=;~ \t\"]{0,24}", 0..4)) {
        let shown: Vec<&str> = lines.iter().map(String::as_str).collect();
        let after = after(forward(&headers(&shown), strip_prefix), &lines);
        prop_assert!(after.len() <= 1);
        let expected: Vec<String> = cookies(&lines).into_iter().filter_map(strip_prefix_model).collect();
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
    fn any_cookie_header_can_be_parsed(bytes in proptest::collection::vec(32..=255u8, 0..64)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let headers = HeaderMap::from_iter([(COOKIE, value)]);
            let _ = values(&headers, &name("B")).count();
            let _ = forward(&headers, strip_prefix);
            let _ = forward(&headers, |_, value| CookieEdit::StripPrefix(value.len() / 2));
        }
    }
}
