//! What a response does to the tie.

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
fn a_response_with_burdocks_cookie_is_private() {
    let lb = lb(["a"]).answers_with("cache-control", "public, max-age=60");
    let mut client = lb.client();
    assert_eq!(client.visits(1).only().cache_control.unwrap(), "max-age=60, private");
    assert_eq!(client.visits(1).only().cache_control, None);
}

#[test]
fn redirects_and_client_errors_tie_like_successes() {
    for status in [101, 200, 204, 302, 304, 404] {
        lb(["a"]).answers(status).client().visits(1).settled(["inserted"]);
    }
}

#[test]
fn a_server_error_ties_no_new_session() {
    let lb = lb(["a"]).answers(500);
    let mut client = lb.client();
    client.visits(2).because(["new", "new"]).settled(["none", "none"]);
    let _lb = lb.cookie(|cookie| cookie.new_tie_on = NewTieOn::Any);
    client.visits(1).settled(["inserted"]);
}

#[test]
fn a_server_error_still_moves_an_existing_tie() {
    let lb = lb(["a", "b"]);
    let mut client = lb.client();
    client.visits(1).was_served_by(["a"]);
    let _lb = lb.answers(503).down("a");
    client.visits(1).was_served_by(["b"]).settled(["rewritten"]);
}

#[test]
fn a_cors_preflight_response_sets_no_cookie() {
    let lb = lb(["a"]).with_method(Method::OPTIONS);
    lb.client().visits(1).settled(["none"]);
}

#[test]
fn only_the_servers_cookie_of_burdocks_name_is_dropped() {
    let lb = lb(["a"]).answers_with(SETS_COOKIE, "BURDOCK_shop=stolen; Path=/").answers_with(SETS_COOKIE, "theme=dark");
    let mut client = lb.client();
    assert_eq!(server_cookies(&client.visits(1).only()), ["theme=dark"]);
    assert_eq!(server_cookies(&client.visits(1).only()), ["theme=dark"]);
}

#[test]
fn responses_without_burdocks_cookie_name_are_not_edited() {
    let lb = lb(["a"]).answers_with(SETS_COOKIE, "theme=dark");
    assert!(lb.client().visits(1).only().server_cookies.is_none());
}
