//! What a final response does to the tie.

use burdock::sticky::spec::NewTieOn;
use http::Method;

use crate::language::{SETS_COOKIE, lb, server_cookies};

#[test]
fn a_cookie_is_set_once() {
    let lb = lb(["a", "b"]);
    let mut client = lb.client();
    assert_eq!(client.visits(1).only().set_cookie.len(), 1);
    assert_eq!(client.visits(1).only().set_cookie.len(), 0);
}

#[test]
fn a_response_with_our_cookie_is_private() {
    let lb = lb(["a"]).answers_with("cache-control", "public, max-age=60");
    let mut client = lb.client();
    assert_eq!(client.visits(1).only().cache_control.unwrap(), "max-age=60, private");
    assert_eq!(client.visits(1).only().cache_control, None);
}

#[test]
fn redirects_and_client_errors_tie_as_well_as_successes() {
    for status in [101, 200, 204, 302, 304, 404] {
        lb(["a"]).answers(status).client().visits(1).settled(["inserted"]);
    }
}

#[test]
fn a_server_error_ties_nobody_new() {
    let lb = lb(["a"]).answers(500);
    let mut client = lb.client();
    client.visits(2).because(["new", "new"]).settled(["none", "none"]);
    let _lb = lb.cookie(|cookie| cookie.new_tie_on = NewTieOn::Any);
    client.visits(1).settled(["inserted"]);
}

#[test]
fn a_server_error_keeps_and_moves_ties_that_are_there() {
    let lb = lb(["a", "b"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let _lb = lb.answers(503).down("a");
    client.visits(1).was_served_by(["b"]).settled(["rewritten"]);
}

#[test]
fn the_answer_to_a_cors_preflight_sets_nothing() {
    let lb = lb(["a"]).asked_by(Method::OPTIONS);
    lb.client().visits(1).settled(["none"]);
}

#[test]
fn a_cookie_of_our_name_from_the_server_is_dropped_and_others_pass() {
    let lb = lb(["a"]).answers_with(SETS_COOKIE, "BURDOCK_shop=stolen; Path=/").answers_with(SETS_COOKIE, "theme=dark");
    let mut client = lb.client();
    assert_eq!(server_cookies(&client.visits(1).only()), ["theme=dark"]);
    assert_eq!(server_cookies(&client.visits(1).only()), ["theme=dark"]);
}

#[test]
fn responses_without_a_cookie_of_our_name_are_not_touched() {
    let lb = lb(["a"]).answers_with(SETS_COOKIE, "theme=dark");
    assert!(lb.client().visits(1).only().server_cookies.is_none());
}
