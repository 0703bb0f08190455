//! Tokens of the proxy that Burdock replaces: accepted once, then replaced.

use crate::language::{Lb, SETS_COOKIE, lb};

/// Three servers. All values in this file name `b`.
fn shop() -> Lb {
    lb(["a", "b", "c"]).address("a", "127.0.0.1:8080").address("b", "127.0.0.1:8081").route("b", "s2")
}

/// Values for 127.0.0.1:8081: the format, how `accept` names it, and the value (see docs/reference.md).
const COOKIES: [(&str, &str, &str); 13] = [
    ("nginx", "nginx", "df2b80dc43705d28db9be6f29fe58da3"),
    ("nginx", "nginx", "s2"),
    ("tengine", "tengine", "df2b80dc43705d28db9be6f29fe58da3"),
    ("tengine", "tengine", "df2b80dc43705d28db9be6f29fe58da3|1799999990|1799999000"),
    ("haproxy", "haproxy", "s2"),
    ("haproxy", "haproxy", "s2|awAVM|awAVM"),
    ("envoy", "envoy", "MTI3LjAuMC4xOjgwODE="),
    ("envoy", "envoy", "Cg4xMjcuMC4wLjE6ODA4MQ=="),
    ("traefik", "traefik", "08d5f409490f61fc"),
    ("traefik", "traefik", "5a1cc52f3f46040d"),
    ("traefik", "traefik", "7d49894b220072d2"),
    ("apache", "apache", "A1B2C3.s2"),
    (
        "ingress_nginx",
        "{format: {ingress_nginx: {backend: default-http-svc-80}}}",
        "257c0b1160f0c97deb2c1f87fd1c8f9b|5a881deec44117eee2efd3540198e203",
    ),
];

#[test]
fn another_proxys_cookie_is_accepted_and_replaced() {
    for (format, accept, value) in COOKIES {
        let lb = shop().sticky(&format!("[{{cookie: {{name: S, accept: [{accept}]}}}}]"));
        let mut client = lb.client().with_cookie("S", value);
        let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["rewritten"]).only();
        assert_eq!(visit.foreign, Some(format), "{value}");
        assert_eq!(visit.seen.get("cookie"), None);
        assert_eq!(client.cookie("S").unwrap().len(), 76, "{value}");
        let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["kept"]).only();
        assert_eq!(visit.foreign, None);
    }
}

#[test]
fn without_accept_another_proxys_cookie_is_a_bad_token() {
    for (_, _, value) in COOKIES {
        let lb = shop().sticky("[{cookie: {name: S}}]");
        lb.client().with_cookie("S", value).visits(1).because(["bad_token"]);
    }
}

#[test]
fn accept_reads_another_cookie_without_deleting_it() {
    let lb = shop().sticky("[{cookie: {accept: [{format: traefik, cookie: _a1b2c}]}}]");
    let mut client = lb.client().with_cookie("_a1b2c", "08d5f409490f61fc");
    let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["rewritten"]).only();
    assert_eq!((visit.set_cookie.len(), visit.seen.get("cookie")), (1, None));
    client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["kept"]);
    let lb = lb.down("b");
    let substitute = client.visits(1).because(["down"]).settled(["rewritten"]).servers();
    let _ = lb.up("b");
    assert_eq!(client.visits(1).because(["hit"]).servers(), substitute, "Burdock's own cookie wins over the accepted one");
}

#[test]
fn accept_ends_on_its_until_date() {
    // The stories start in January 2027.
    for (until, reason) in [("2027-01-01", "bad_token"), ("2027-12-31", "hit")] {
        let lb = shop().sticky(&format!("[{{cookie: {{name: S, accept: [{{format: nginx, until: {until}}}]}}}}]"));
        lb.client().with_cookie("S", "df2b80dc43705d28db9be6f29fe58da3").visits(1).because([reason]);
    }
}

#[test]
fn another_proxys_prefix_is_stripped_and_replaced_with_the_next_set_cookie() {
    for format in ["haproxy", "tengine"] {
        let lb = shop().sticky(&format!("[{{cookie: {{name: S, mode: prefix, accept: [{format}]}}}}]"));
        let mut client = lb.client().with_cookie("S", "s2~abc");
        let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["kept"]).only();
        assert_eq!(visit.seen["cookie"], "S=abc");
        let _ = lb.answers_with(SETS_COOKIE, "S=def");
        client.visits(1).was_served_by(["b"]).settled(["rewritten"]);
        assert!(client.cookie("S").unwrap().ends_with("~def") && client.cookie("S").unwrap().len() == 80);
    }
}

#[test]
fn envoy_headers_are_accepted_and_replaced() {
    let lb = shop().sticky("[{header: {name: X-Session, accept: [envoy]}}]");
    let mut client = lb.client().keeps_header("x-session").with_header("x-session", "MTI3LjAuMC4xOjgwODE=");
    client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["rewritten"]);
    client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["kept"]);
}

#[test]
fn an_envoy_envelope_is_opened_and_replaced_with_the_next_response_header() {
    let lb = shop().sticky("[{header: {name: Mcp-Session-Id, mode: envelope, accept: [envoy]}}]");
    let mut client = lb.client().keeps_header("mcp-session-id");
    client.headers.insert("mcp-session-id", "MTI3LjAuMC4xOjgwODE=;UV:MTg2OGE5MGM=".parse().unwrap());
    let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["kept"]).only();
    assert_eq!(visit.seen["mcp-session-id"], "1868a90c");
    let _ = lb.answers_with("mcp-session-id", "1868a90c");
    client.visits(1).was_served_by(["b"]).settled(["rewritten"]);
    assert!(client.headers["mcp-session-id"].to_str().unwrap().ends_with("~1868a90c"));
}

#[test]
fn another_proxys_timestamps_count_toward_max_life() {
    // 1799999990 and 1799999000 are 10 and 1,000 seconds before the stories start.
    let value = "df2b80dc43705d28db9be6f29fe58da3|1799999990|1799999000";
    for (life, reason) in [("20m", "hit"), ("10m", "expired_life")] {
        let lb = shop().sticky(&format!("[{{cookie: {{name: S, max_life: {life}, accept: [tengine]}}}}]"));
        lb.client().with_cookie("S", value).visits(1).because([reason]);
    }
    let lb = shop().sticky("[{cookie: {name: S, max_life: 20m, accept: [tengine]}}]");
    let mut client = lb.client().with_cookie("S", value);
    client.visits(1).because(["hit"]).settled(["rewritten"]);
    let _ = lb.after(250);
    client.visits(1).because(["expired_life"]);
}

#[test]
fn an_accepted_cookie_of_a_removed_server_moves_as_unknown_server() {
    let lb = shop().without("b").sticky("[{cookie: {name: S, accept: [nginx]}}]");
    let mut client = lb.client().with_cookie("S", "df2b80dc43705d28db9be6f29fe58da3");
    client.visits(1).because(["unknown_server"]).settled(["rewritten"]);
}

#[test]
fn one_cookie_accepts_several_formats() {
    let lb = shop().sticky("[{cookie: {name: S, accept: [nginx, traefik, haproxy]}}]");
    for (value, format) in [("df2b80dc43705d28db9be6f29fe58da3", "nginx"), ("08d5f409490f61fc", "traefik")] {
        let visit = lb.client().with_cookie("S", value).visits(1).was_served_by(["b"]).only();
        assert_eq!(visit.foreign, Some(format));
    }
}

#[test]
fn a_passive_cookie_is_accepted_and_not_replaced() {
    let lb = shop().sticky("[{cookie: {name: S, mode: passive, accept: [nginx]}}]");
    let mut client = lb.client().with_cookie("S", "df2b80dc43705d28db9be6f29fe58da3");
    client.visits(2).was_served_by(["b", "b"]).because(["hit", "hit"]).settled(["kept", "kept"]);
}

#[test]
fn a_tomcat_session_is_accepted_and_keeps_its_own_cookie() {
    let lb = shop().sticky("[{cookie: {accept: [{format: apache, cookie: JSESSIONID}]}}]");
    let mut client = lb.client().with_cookie("JSESSIONID", "A1B2.s2");
    let visit = client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["rewritten"]).only();
    assert_eq!(visit.seen["cookie"], "JSESSIONID=A1B2.s2");
    let visit = client.visits(1).because(["hit"]).settled(["kept"]).only();
    assert_eq!(visit.seen["cookie"], "JSESSIONID=A1B2.s2");
}

#[test]
fn a_token_under_a_dropped_key_is_not_read_as_another_proxys() {
    let lb = shop().sticky("[{cookie: {name: S, mode: prefix, accept: [haproxy]}}]").answers_with(SETS_COOKIE, "S=1");
    let mut client = lb.client();
    client.visits(1).settled(["inserted"]);
    let _ = lb.keys(&["99"]);
    client.visits(1).because(["unknown_key"]);
}
