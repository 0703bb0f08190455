//! Sessions of clients without cookies: in Burdock's own header, or in an envelope around the application's header.

use crate::language::{Visit, lb};

const HEADER: &str = "[{header: {name: X-Session}}]";
const MCP: &str = "mcp";

fn received(visit: &Visit, name: &str) -> Option<String> {
    visit.received.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn seen(visit: &Visit, name: &str) -> Option<String> {
    visit.seen.get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn a_mobile_client_gets_its_token_once_and_stays() {
    let lb = lb(["a", "b", "c"]).sticky(HEADER);
    let mut client = lb.client().keeps_header("x-session");
    let first = client.visits(1).was_served_by(["a"]).settled(["inserted"]).only();
    assert_eq!(received(&first, "x-session").unwrap().len(), 76);
    assert_eq!(first.cache_control.unwrap(), "private");
    for _ in 0..3 {
        let visit = client.visits(1).was_served_by(["a"]).because(["hit"]).settled(["kept"]).only();
        assert_eq!((visit.method, received(&visit, "x-session")), ("header", None));
        assert_eq!(seen(&visit, "x-session"), None, "the server does not see it");
    }
}

#[test]
fn the_servers_header_of_burdocks_name_is_dropped() {
    let lb = lb(["a"]).sticky(HEADER).answers_with("x-session", "spoofed");
    let mut client = lb.client().keeps_header("x-session");
    assert_ne!(received(&client.visits(1).only(), "x-session").unwrap(), "spoofed");
    assert_eq!(received(&client.visits(1).only(), "x-session"), None);
}

#[test]
fn a_cross_origin_page_can_read_the_session_header() {
    let lb = lb(["a"]).sticky(HEADER).answers_with("access-control-expose-headers", "X-Total");
    let exposed = |visit: Visit| received(&visit, "access-control-expose-headers").unwrap();
    let foreign = lb.client().with_header("origin", "https://app.example.net").visits(1).only();
    assert_eq!(exposed(foreign).to_lowercase(), "x-total, x-session");
    assert_eq!(exposed(lb.client().visits(1).only()), "X-Total");
    let lb = lb.sticky("[{header: {name: X-Session, expose: false}}]");
    assert_eq!(exposed(lb.client().with_header("origin", "https://a.test").visits(1).only()), "X-Total");
}

#[test]
fn a_header_session_is_renewed_and_expires_when_idle() {
    let lb = lb(["a", "b"]).sticky("[{header: {name: X-Session, idle_timeout: 10m}}]");
    let mut client = lb.client().keeps_header("x-session");
    client.visits(1);
    let lb = lb.after(60);
    client.visits(2).settled(["renewed", "kept"]);
    let _ = lb.after(661);
    client.visits(1).because(["expired_idle"]).settled(["rewritten"]);
}

#[test]
fn a_forged_or_empty_header_is_not_a_session() {
    let lb = lb(["a", "b"]).sticky(HEADER);
    lb.client().with_header("x-session", "b").visits(1).because(["bad_token"]).settled(["rewritten"]);
    lb.client().with_header("x-session", "").visits(1).because(["new"]);
}

#[test]
fn a_cookies_token_is_not_valid_in_a_header() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S}}]");
    let mut client = lb.client();
    client.visits(1);
    let token = client.cookie("S").unwrap().to_owned();
    let lb = lb.sticky("[{header: {name: s}}]");
    lb.client().with_header("s", &token).visits(1).because(["bad_token"]);
}

#[test]
fn browsers_and_mobile_clients_share_an_upstream() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {}}, {header: {name: X-Session}}, {cookie: {name: OTHER}}]");
    let mut mobile = lb.client().keeps_header("x-session").without_cookies();
    let first = mobile.visits(1).settled(["inserted"]).only();
    assert_eq!(
        first.set_cookie.len(),
        1,
        "what the client keeps is not known yet, so Burdock offers one cookie and one header"
    );
    mobile.visits(2).was_served_by(["a", "a"]).because(["hit", "hit"]).settled(["kept", "kept"]);
    let mut browser = lb.client();
    browser.visits(2).was_served_by(["b", "b"]).because(["new", "hit"]);
    assert_eq!(browser.visits(1).only().method, "cookie");
    let visit = mobile.visits(1).because(["hit"]).only();
    assert_eq!(
        (visit.method, visit.set_cookie),
        ("header", vec![]),
        "a client never gets a cookie while its header holds the session"
    );
}

#[test]
fn conflicting_entries_agree_after_one_response() {
    let lb = lb(["a", "b"]).sticky("[{cookie: {name: S, token: plain}}, {header: {name: X-Session, token: plain}}]");
    let mut client = lb.client().with_cookie("S", "b").keeps_header("x-session").with_header("x-session", "a");
    client.visits(1).was_served_by(["b"]).because(["hit"]).settled(["rewritten"]);
    assert_eq!(client.headers["x-session"], "b");
}

#[test]
fn an_envelope_wraps_the_applications_session_id() {
    let lb = lb(["a", "b"]).sticky(MCP).answers_with("mcp-session-id", "1868a90c");
    let mut client = lb.client().keeps_header("mcp-session-id");
    let first = client.visits(1).settled(["inserted"]).only();
    let wrapped = received(&first, "mcp-session-id").unwrap();
    assert!(wrapped.len() == 76 + 1 + 8 && wrapped.ends_with("~1868a90c"), "{wrapped}");
    let lb = lb.answers_without_headers();
    let visit = client.visits(1).was_served_by(["a"]).because(["hit"]).only();
    assert_eq!(seen(&visit, "mcp-session-id").unwrap(), "1868a90c");
    assert_eq!(received(&visit, "mcp-session-id"), None);
    let _ = lb;
}

#[test]
fn an_envelope_needs_the_applications_session_header() {
    let lb = lb(["a", "b"]).sticky(MCP);
    let visit = lb.client().with_header("mcp-session-id", "bare").visits(1).because(["new"]).settled(["none"]).only();
    assert_eq!(seen(&visit, "mcp-session-id").unwrap(), "bare");
}

#[test]
fn an_mcp_session_without_its_server_gets_404() {
    let lb = lb(["a", "b"]).sticky(MCP).answers_with("mcp-session-id", "1868a90c");
    let mut client = lb.client().keeps_header("mcp-session-id");
    client.visits(1).was_served_by(["a"]);
    let lb = lb.down("a");
    client.visits(1).was_served_by(["404"]).because(["refused"]);
    let lb = lb.up("a").maint("a");
    client.visits(1).was_served_by(["404"]);
    let lb = lb.without("a");
    client.visits(1).was_served_by(["404"]);
    lb.client().visits(1).was_served_by(["b"]);
}

#[test]
fn an_mcp_session_of_a_full_server_gets_503() {
    let lb = lb(["a", "b"]).sticky(MCP).answers_with("mcp-session-id", "x").max_conns("a", 1);
    let mut client = lb.client().keeps_header("mcp-session-id");
    client.visits(1).was_served_by(["a"]);
    let (_, _slot) = client.starts_request();
    client.visits(1).was_served_by(["503"]);
}
