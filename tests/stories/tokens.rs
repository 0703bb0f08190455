//! Tokens: bad ones start a new session and are never an error.

use burdock::session::scope::Scope;
use burdock::session::token_format::TokenFormat;

use crate::language::{Lb, lb};

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
    let elsewhere = lb(["a", "b"]).with(|shop| shop.sticky.scope = Scope("other".into()));
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

#[test]
fn of_several_good_cookies_the_first_whose_server_may_serve_decides() {
    let changes: [fn(Lb) -> Lb; 3] = [|lb| lb.down("a"), |lb| lb.maint("a"), |lb| lb.without("a")];
    for change in changes {
        let lb = lb(["a", "b", "c"]);
        let mut client = lb.client();
        for server in ["a", "b"] {
            let mut tied = lb.client();
            tied.visits(1).was_served_by([server]);
            client = client.holding(&tied.token());
        }
        let mut client = client.without_cookies();
        client.visits(1).was_served_by(["a"]).because(["hit"]).settled(["kept"]);
        let _lb = change(lb);
        let visit = client.visits(2).was_served_by(["b", "b"]).because(["hit", "hit"]).settled(["kept", "kept"]).last();
        assert!(visit.set_cookie.is_empty() && !visit.seen.contains_key("burdock-affinity"), "{visit:?}");
    }
}

#[test]
fn if_no_cookies_server_may_serve_the_first_is_the_cause() {
    let lb = lb(["a", "b", "c"]);
    let tokens: Vec<String> = (0..2)
        .map(|_| {
            let mut client = lb.client();
            client.visits(1);
            client.token()
        })
        .collect();
    let client = lb.client().holding(&tokens[0]).holding(&tokens[1]);
    let _lb = lb.down("b").maint("a");
    client.without_cookies().visits(1).was_served_by(["c"]).because(["maint"]).settled(["rewritten"]);
}
