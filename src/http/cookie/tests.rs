//! Tables of headers, and properties against the plain way of doing it.

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
