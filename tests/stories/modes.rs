//! Cookie modes: the application's cookie rewritten, prefixed or only read.

use crate::language::{SETS_COOKIE, Visit, lb};

const REWRITE: &str = "[{cookie: {name: JSESSIONID, mode: rewrite}}]";
const PREFIX: &str = "[{cookie: {name: JSESSIONID, mode: prefix}}]";

fn lines(visit: &Visit) -> Vec<&str> {
    visit.received.get_all(SETS_COOKIE).iter().map(|line| line.to_str().unwrap()).collect()
}

fn cookie_seen(visit: &Visit) -> Option<&str> {
    visit.seen.get("cookie").map(|cookie| cookie.to_str().unwrap())
}

#[test]
fn rewrite_and_prefix_need_the_applications_cookie() {
    for mode in [REWRITE, PREFIX] {
        let lb = lb(["a", "b"]).sticky(mode);
        let visits = lb.client().visits(2).was_served_by(["a", "b"]).settled(["none", "none"]);
        assert_eq!(lines(&visits.last()), [""; 0]);
    }
}

#[test]
fn a_rewritten_cookie_keeps_its_attributes_and_carries_the_tie() {
    let lb = lb(["a", "b"]).sticky(REWRITE).answers_with(SETS_COOKIE, "JSESSIONID=abc123; Path=/shop; HttpOnly; Foo");
    let mut client = lb.client();
    let visit = client.visits(1).was_served_by(["a"]).settled(["inserted"]).only();
    let line = lines(&visit)[0];
    assert!(line.starts_with("JSESSIONID=A") && line.ends_with("; Path=/shop; HttpOnly; Foo"), "{line}");
    assert_eq!(visit.cache_control.unwrap(), "private");
    let _ = lb.answers_without_headers();
    let visit = client
        .visits(3)
        .was_served_by(["a", "a", "a"])
        .because(["hit", "hit", "hit"])
        .settled(["kept", "kept", "kept"])
        .last();
    assert_eq!(visit.method, "cookie");
    let token = client.cookie("JSESSIONID").unwrap();
    assert_eq!(cookie_seen(&visit), Some(&*format!("JSESSIONID={token}")), "the server sees what the client sends");
}

#[test]
fn a_rewritten_cookie_may_be_hidden_from_the_server() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S, mode: rewrite, hide: true}}]").answers_with(SETS_COOKIE, "S=1");
    let mut client = lb.client();
    client.visits(1);
    assert_eq!(cookie_seen(&client.visits(1).only()), None);
}

#[test]
fn only_the_client_sees_the_prefix() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: JSESSIONID, mode: prefix, token: plain}}]");
    let lb = lb.answers_with(SETS_COOKIE, "JSESSIONID=abc; Path=/; Secure").answers_with(SETS_COOKIE, "other=1");
    let mut client = lb.client();
    let visit = client.visits(1).only();
    assert_eq!(lines(&visit), ["JSESSIONID=a~abc; Path=/; Secure", "other=1"]);
    let visit = client.visits(1).was_served_by(["a"]).because(["hit"]).only();
    assert_eq!(cookie_seen(&visit), Some("JSESSIONID=abc; other=1"));
}

#[test]
fn a_sealed_prefix_ends_before_the_applications_value() {
    let lb = lb(["a", "b"]).sticky(PREFIX).answers_with(SETS_COOKIE, "JSESSIONID=\"a~b\"; Path=/");
    let mut client = lb.client();
    let visit = client.visits(1).only();
    let line = lines(&visit)[0];
    assert!(line.ends_with("~\"a~b\"; Path=/") && line.len() > 76, "{line}");
    assert_eq!(cookie_seen(&client.visits(1).because(["hit"]).only()), Some("JSESSIONID=\"a~b\""));
}

#[test]
fn a_prefix_inside_quotes_is_stripped() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S, mode: prefix, token: plain}}]");
    let mut client = lb.client().with_cookie("S", "\"b~abc\"");
    assert_eq!(cookie_seen(&client.visits(1).was_served_by(["b"]).only()), Some("S=\"abc\""));
}

#[test]
fn a_value_without_a_prefix_passes_as_a_new_session() {
    let lb = lb(["a", "b"]).sticky(PREFIX);
    let mut client = lb.client().with_cookie("JSESSIONID", "abc~def");
    let visit = client.visits(1).because(["new"]).settled(["none"]).only();
    assert_eq!(cookie_seen(&visit), Some("JSESSIONID=abc~def"));
}

#[test]
fn a_prefix_under_an_unknown_key_is_still_stripped() {
    let lb = lb(["a", "b"]).sticky(PREFIX).answers_with(SETS_COOKIE, "JSESSIONID=abc");
    let mut client = lb.client();
    client.visits(1);
    let lb = lb.keys(&["99"]);
    let visit = client.visits(1).because(["unknown_key"]).settled(["rewritten"]).only();
    assert_eq!(cookie_seen(&visit), Some("JSESSIONID=abc"));
    client.visits(1).because(["hit"]);
    let _ = lb;
}

#[test]
fn every_set_cookie_of_the_name_gets_the_prefix() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S, mode: prefix, token: plain}}]");
    let lb = lb
        .answers_with(SETS_COOKIE, "S=1; Path=/")
        .answers_with(SETS_COOKIE, "S=; Path=/x")
        .answers_with(SETS_COOKIE, "S=2; Path=/y");
    assert_eq!(lines(&lb.client().visits(1).only()), ["S=a~1; Path=/", "S=a~; Path=/x", "S=a~2; Path=/y"]);
}

#[test]
fn a_deletion_passes_unchanged_and_forgets_the_session() {
    for deletion in ["S=; Max-Age=0", "S=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/", "S=\"\"; max-age=-1"] {
        for mode in ["rewrite", "prefix"] {
            let lb = lb(["a", "b"]).sticky(&format!("[{{cookie: {{name: S, mode: {mode}, token: plain}}}}]"));
            let mut client = lb.clone().answers_only_with(SETS_COOKIE, "S=1").client();
            client.visits(1).settled(["inserted"]);
            let _ = lb.answers_only_with(SETS_COOKIE, deletion);
            let visit = client.visits(1).settled(["forgotten"]).only();
            assert_eq!(lines(&visit), [deletion]);
        }
    }
}

#[test]
fn a_server_error_that_sets_the_cookie_ties_no_session() {
    let lb = lb(["a", "b"]).sticky(PREFIX).answers(500).answers_with(SETS_COOKIE, "JSESSIONID=abc");
    assert_eq!(lines(&lb.client().visits(1).settled(["none"]).only()), ["JSESSIONID=abc"]);
}

#[test]
fn an_application_session_created_during_a_detour_moves_the_tie() {
    for mode in [REWRITE, PREFIX] {
        let lb = lb(["a", "b"]).sticky(mode).answers_with(SETS_COOKIE, "JSESSIONID=one");
        let lb = lb.failover(|failover| failover.down = burdock::upstream::failover::Action::Temporary(None));
        let mut client = lb.client();
        client.visits(1).was_served_by(["a"]);
        let lb = lb.answers_without_headers().down("a");
        client.visits(1).was_served_by(["b"]).because(["down"]).settled(["none"]);
        let lb = lb.answers_only_with(SETS_COOKIE, "JSESSIONID=two");
        let visit = client.visits(1).was_served_by(["b"]).because(["down"]).settled(["rewritten"]).only();
        assert_eq!(visit.moved, Some("down"));
        let _ = lb.answers_without_headers().up("a");
        client.visits(1).was_served_by(["b"]).because(["hit"]);
    }
}

#[test]
fn a_passive_cookie_is_read_and_never_written() {
    let lb =
        lb(["a", "b"]).sticky("[{cookie: {name: SRV, mode: passive, token: plain}}]").answers_with(SETS_COOKIE, "SRV=x");
    let visit = lb.client().with_cookie("SRV", "b").visits(1).was_served_by(["b"]).because(["hit"]).settled(["kept"]).only();
    assert_eq!((lines(&visit), cookie_seen(&visit)), (vec!["SRV=x"], Some("SRV=b")));
    lb.client().visits(1).because(["new"]).settled(["none"]);
}

#[test]
fn a_passive_cookie_turns_a_move_into_a_detour() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: SRV, mode: passive, token: plain}}]").down("b");
    let mut client = lb.client().with_cookie("SRV", "b");
    let visit = client.visits(1).was_served_by(["a"]).because(["down"]).settled(["none"]).only();
    assert_eq!(visit.moved, None);
    let _ = lb.up("b");
    client.visits(1).was_served_by(["b"]).because(["hit"]);
}

#[test]
fn hide_false_shows_the_cookie_to_the_server() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {hide: false}}]");
    let mut client = lb.client();
    client.visits(1);
    assert!(cookie_seen(&client.visits(1).only()).unwrap().starts_with("BURDOCK_shop=A"));
}

#[test]
fn preserve_lets_the_servers_cookie_replace_burdocks() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: SRV, token: plain, preserve: true}}]");
    assert_eq!(lines(&lb.client().visits(1).only()), ["SRV=a; Path=/; HttpOnly"]);
    let lb = lb.answers_with(SETS_COOKIE, "SRV=b; Path=/");
    let mut client = lb.client();
    assert_eq!(lines(&client.visits(1).only()), ["SRV=b; Path=/"], "the application moves the session");
    client.visits(1).was_served_by(["b"]).because(["hit"]);
    let _ = lb.answers_only_with(SETS_COOKIE, "SRV=; Max-Age=0");
    assert_eq!(lines(&client.visits(1).only()), ["SRV=; Max-Age=0"], "and ends the session");
    assert_eq!(client.cookie("SRV"), None);
}

#[test]
fn post_only_ties_no_session_on_get() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {post_only: true}}]");
    lb.client().visits(2).was_served_by(["a", "b"]).settled(["none", "none"]);
    let lb = lb.with_method(http::Method::POST);
    let mut client = lb.client();
    client.visits(1).settled(["inserted"]);
    let lb = lb.with_method(http::Method::GET);
    client.visits(1).because(["hit"]);
    lb.client().holding("forged").visits(1).because(["bad_token"]).settled(["none"]);
}

#[test]
fn new_tie_on_selects_the_statuses_that_tie() {
    for (on, status, settled) in [
        ("below_400", 302, "inserted"),
        ("below_400", 404, "none"),
        ("below_500", 404, "inserted"),
        ("below_500", 500, "none"),
        ("any", 500, "inserted"),
    ] {
        let lb = lb(["a", "b"]).sticky(&format!("[{{cookie: {{new_tie_on: {on}}}}}]")).answers(status);
        lb.client().visits(1).settled([settled]);
    }
}

#[test]
fn the_cookie_gets_the_domain_that_matches_the_host() {
    let sticky = "[{cookie: {token: plain, domain: [example.com, example.org], attributes: [Priority=High]}}]";
    for (host, domain) in [("shop.example.org:8080", "; Domain=example.org"), ("shop.example.net", "")] {
        let lb = lb(["a"]).sticky(sticky).with_host(host);
        let expected = format!("BURDOCK_shop=a; Path=/{domain}; HttpOnly; Priority=High");
        assert_eq!(lines(&lb.client().visits(1).only()), [expected]);
    }
}

#[test]
fn cache_control_leave_keeps_responses_cacheable() {
    let lb = lb(["a"]).sticky("[{cookie: {cache_control: leave}}]").answers_with("cache-control", "public");
    assert_eq!(lb.client().visits(1).only().cache_control, None);
}

#[test]
fn a_plain_token_is_the_servers_route() {
    let lb = lb(["a", "b"]).route("a", "s1").sticky("[{cookie: {name: SRV, token: plain}}]");
    let mut client = lb.client();
    client.visits(2).was_served_by(["a", "a"]);
    assert_eq!(client.cookie("SRV"), Some("s1"));
    lb.client().with_cookie("SRV", "a").visits(1).because(["unknown_server"]);
}

#[test]
fn servers_that_share_a_route_serve_each_others_sessions() {
    let lb = lb(["a", "b", "c"]).route("b", "pair").route("c", "pair").sticky("[{cookie: {name: SRV, token: plain}}]");
    let mut client = lb.client().with_cookie("SRV", "pair");
    client.visits(2).was_served_by(["b", "b"]).because(["hit", "hit"]).settled(["kept", "kept"]);
    let lb = lb.down("b");
    client.visits(1).was_served_by(["c"]).because(["hit"]).settled(["kept"]);
    let _ = lb.down("c");
    client.visits(1).was_served_by(["a"]).because(["down"]).settled(["rewritten"]);
}

#[test]
fn a_cookie_matches_only_by_its_full_name() {
    // Tengine reads xroute=b as route=b.
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: route, token: plain}}]");
    let visit = lb.client().with_cookie("xroute", "b").visits(1).was_served_by(["a"]).because(["new"]).only();
    assert_eq!(cookie_seen(&visit), Some("xroute=b"));
}

#[test]
fn max_age_and_path_appear_in_the_cookie() {
    let lb = lb(["a"]).sticky("[{cookie: {name: route, token: plain, max_age: 1h, path: /shop}}]");
    let expected = "route=a; Path=/shop; Max-Age=3600; HttpOnly";
    assert_eq!(lines(&lb.client().visits(1).only()), [expected]);
}
