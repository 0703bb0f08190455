//! Tokens: bad ones start a new session and are never an error.

use burdock::session::scope::Scope;
use burdock::session::token_format::TokenFormat;

use crate::language::lb;

#[test]
fn a_tampered_token_is_bad_and_starts_a_new_session() {
    let lb = lb(["a", "b"]);
    let mut client = lb.client();
    client.visits(1);
    let mut changed = client.token().into_bytes();
    changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    lb.client().holding(&changed).visits(2).because(["bad_token", "hit"]).settled(["rewritten", "kept"]);
}

#[test]
fn a_token_of_another_scope_does_not_open() {
    let elsewhere = lb(["a", "b"]).with(|spec| spec.sticky.scope = Scope("other".into()));
    let mut client = elsewhere.client();
    client.visits(1);
    lb(["a", "b"]).client().holding(&client.token()).visits(1).because(["bad_token"]);
}

#[test]
fn a_rotated_key_still_opens_and_a_dropped_one_does_not() {
    let lb = lb(["a", "b"]).keys(&["17"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let lb = lb.keys(&["42", "17"]);
    client.visits(1).was_served_by(["a"]).because(["hit"]);
    let _lb = lb.keys(&["42"]);
    client.visits(2).because(["unknown_key", "hit"]).settled(["rewritten", "kept"]);
}

#[test]
fn only_the_first_four_cookies_of_a_name_are_tried() {
    let lb = lb(["a", "b"]);
    let mut first = lb.client();
    first.visits(1).was_served_by(["a"]);
    lb.client()
        .holding("x")
        .holding("y")
        .holding("z")
        .holding(&first.token())
        .visits(1)
        .was_served_by(["a"])
        .because(["hit"]);
    lb.client().holding("w").holding("x").holding("y").holding("z").holding(&first.token()).visits(1).because(["bad_token"]);
}

#[test]
fn a_plain_token_is_the_id_of_its_server() {
    let lb = lb(["a", "b"]).cookie(|cookie| cookie.token = TokenFormat::Plain);
    let mut client = lb.client();
    client.visits(2).was_served_by(["a", "a"]);
    assert_eq!(client.token(), "a");
    lb.client().holding("b").visits(1).was_served_by(["b"]).because(["hit"]);
}
