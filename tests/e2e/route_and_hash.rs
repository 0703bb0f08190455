//! Persistence without state of Burdock's own, on the wire: routes that applications set, and hashed names.

use std::collections::BTreeSet;

use crate::harness::{Burdock, Request, Site, shop};

const TOMCAT: &str =
    "sticky: [{route: {from: [{cookie: JSESSIONID, after: '.'}, {path_parameter: jsessionid, after: '.'}, 'query:route']}}]";
const IDENTITY: &str = "sticky: [{hash: {key: [cookie:JSESSIONID, header:X-Session-Id, query:sid, path_parameter:jsessionid, bearer_claim:sid]}}]";

fn served(burdock: &Burdock, request: &Request) -> String {
    burdock.ask(request).served_by().to_owned()
}

/// The servers that answer `count` requests, each built from its number.
fn servers(burdock: &Burdock, count: usize, request: impl Fn(usize) -> Request) -> Vec<String> {
    (0..count).map(|n| served(burdock, &request(n))).collect()
}

/// Asserts that each of several requests has one server, and that they do not all have the same one.
#[track_caller]
fn assert_sticky(burdock: &Burdock, request: impl Fn(usize) -> Request) {
    let once = servers(burdock, 20, &request);
    assert_eq!(servers(burdock, 20, &request), once);
    assert!(once.iter().collect::<BTreeSet<_>>().len() > 1, "{once:?}");
}

/// An unsigned bearer token with this claim.
pub fn bearer(name: &str, value: &str) -> String {
    let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
    format!("Bearer {}.{}.", encode(r#"{"alg":"none"}"#), encode(&format!(r#"{{"exp":1,"{name}":"{value}"}}"#)))
}

#[test]
fn a_route_is_read_from_cookie_path_parameter_or_query() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, TOMCAT);
    let cookie = |value: &str| Request::get("/cookie").header("Cookie", &format!("JSESSIONID={value}"));
    for _ in 0..3 {
        assert_eq!(served(&burdock, &cookie("A1B2.web-2")), "web-2");
        assert_eq!(served(&burdock, &Request::get("/cart;jsessionid=A1B2.web-3/items?x=1")), "web-3");
        assert_eq!(served(&burdock, &Request::get("/query?a=1&route=web-1")), "web-1");
    }
    assert_eq!(origins[2].last().target(), "/cart;jsessionid=A1B2.web-3/items?x=1", "the server sees the original target");
    assert_eq!(origins[1].last().all("cookie"), ["JSESSIONID=A1B2.web-2"]);
    let response = burdock.ask(&cookie("A1B2.web-2"));
    assert_eq!((response.set_cookies().len(), response.header("cache-control")), (0, None), "nothing is set");
    for path in ["/cookie", "/query"] {
        let line = burdock.log_line(path);
        assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["hit", "route", "kept"]);
    }
}

#[test]
fn a_servers_route_may_differ_from_its_id() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.burdock(&format!(
        "upstreams:
  shop:
    servers:
      - {{id: web-1, route: jvm1, address: $IP:9001}}
      - {{id: web-2, route: jvm2, address: $IP:9002}}
    {TOMCAT}
"
    ));
    let at = |route: &str| served(&burdock, &Request::get("/").header("Cookie", &format!("JSESSIONID=x.{route}")));
    assert_eq!([at("jvm1"), at("jvm2"), at("jvm1"), at("jvm2")], ["web-1", "web-2", "web-1", "web-2"]);
}

#[test]
fn a_lost_route_has_one_substitute_until_its_server_returns() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = site.shop(3, TOMCAT);
    let request = Request::get("/lost").header("Cookie", "JSESSIONID=A1B2.web-1");
    drop(origins.remove(0));
    let away = servers(&burdock, 4, |_| request.clone());
    assert!(away.iter().all(|server| *server == away[0] && server != "web-1"), "{away:?}");
    let line = burdock.log_line("/lost");
    assert_eq!(["from", "settled"].map(|field| line.text(field)), ["web-1", "none"]);
    let _back = site.origin(1);
    burdock.wait_until_all_up();
    assert_eq!(served(&burdock, &request), "web-1");
}

#[test]
fn client_ip_hashing_uses_the_address_from_a_trusted_proxy() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]";
    let burdock = site.burdock(&format!("{listeners}\n{}", shop(3, "sticky: [{hash: {key: client_ip}}]")));
    let from = |n: usize| Request::get("/").header("X-Forwarded-For", &format!("198.51.100.{n}"));
    assert_sticky(&burdock, from);
    let chained = |n: usize| Request::get("/").header("X-Forwarded-For", &format!("203.0.113.9, 198.51.100.{n}, 127.0.0.1"));
    assert_eq!(servers(&burdock, 20, chained), servers(&burdock, 20, from));
}

#[test]
fn client_ip_hashing_ignores_addresses_from_untrusted_clients() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: [{hash: {key: client_ip}}]");
    let spread: BTreeSet<_> =
        servers(&burdock, 20, |n| Request::get("/").header("X-Forwarded-For", &format!("198.51.100.{n}")))
            .into_iter()
            .collect();
    assert_eq!(spread.len(), 1, "all requests come from one address: {spread:?}");
}

#[test]
fn hashing_pins_a_name_to_one_server_without_cookies() {
    for (key, request) in [
        ("header:X-User", (|n| Request::get("/").header("X-User", &format!("user-{n}"))) as fn(usize) -> Request),
        ("cookie:sid", |n| Request::get("/").header("Cookie", &format!("a=1; sid=s{n}"))),
        ("query:sid", |n| Request::get(&format!("/?x=1&sid=s{n}"))),
        ("path", |n| Request::get(&format!("/item/{n}"))),
        ("path_parameter:sid", |n| Request::get(&format!("/a;sid=s{n}/b"))),
        ("bearer_claim:sub", |n| Request::get("/").header("Authorization", &bearer("sub", &format!("user-{n}")))),
        ("{all: [header:X-Tenant, header:X-User]}", |n| {
            Request::get("/").header("X-Tenant", &format!("t{}", n / 5)).header("X-User", &format!("u{}", n % 5))
        }),
    ] {
        let site = Site::new();
        let _origins = site.origins::<3>();
        let burdock = site.shop(3, &format!("sticky: [{{hash: {{key: '{key}'}}}}]").replace("'{", "{").replace("}'", "}"));
        assert_sticky(&burdock, request);
        let response = burdock.ask(&request(1));
        assert_eq!((response.set_cookies().len(), response.header("cache-control")), (0, None), "{key}");
        let line = burdock.access_log(1).remove(0);
        assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["hit", "hash", "kept"], "{key}");
    }
}

#[test]
fn requests_without_a_hash_key_use_the_next_method_and_spread() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: [{hash: {key: [header:X-User, bearer_claim:sub]}}, cookie]");
    for n in 0..6 {
        let mut client = burdock.client();
        let path = format!("/{n}");
        let first = client.ask(Request::get(&path).header("X-User", "").header("Authorization", "Bearer opaque"));
        assert_eq!(first.set_cookies().len(), 1);
        assert_eq!(client.get("/next").served_by(), first.served_by());
        assert_eq!(burdock.log_line(&path).reason(), "new");
    }
    assert_eq!(origins.each_ref().map(|origin| origin.received().len()), [4, 4, 4]);
    assert_eq!(burdock.log_line("/next").text("method"), "cookie");
}

#[test]
fn one_identity_reaches_one_server_from_web_and_mobile() {
    let site = Site::new();
    let _origins = site.origins::<4>();
    let burdock = site.shop(4, IDENTITY);
    let mut homes = BTreeSet::new();
    for n in 0..12 {
        let id = format!("5e55-{n}");
        let web = served(&burdock, &Request::get("/").header("Cookie", &format!("theme=dark; JSESSIONID={id}")));
        for request in [
            Request::get("/").header("X-Session-Id", &id),
            Request::get(&format!("/?a=b&sid={id}")),
            Request::get(&format!("/cart;jsessionid={id}")),
            Request::get("/").header("Authorization", &bearer("sid", &id)),
        ] {
            assert_eq!(served(&burdock, &request), web, "{request:?}");
        }
        homes.insert(web);
    }
    assert_eq!(homes.len(), 4);
}

#[test]
fn a_strict_session_is_refused_while_others_are_served() {
    for (sticky, request) in [
        ("route: {from: 'header:X-Server', strict: true}", Request::get("/strict").header("X-Server", "web-1")),
        ("header: {name: X-Server, mode: passive, token: plain, strict: true}", {
            Request::get("/strict").header("X-Server", "web-1")
        }),
        ("cookie: {name: S, token: plain, strict: true}", Request::get("/strict").header("Cookie", "S=web-1")),
        ("cookie: {name: S, mode: prefix, token: plain, strict: true}", {
            Request::get("/strict").header("Cookie", "S=web-1~1")
        }),
    ] {
        let site = Site::new();
        let _other = site.origin(2);
        let burdock = site.shop(2, &format!("sticky: [{{{sticky}}}]"));
        let refused = burdock.ask(&request);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "{sticky}");
        let line = burdock.log_line("/strict");
        assert_eq!(["reason", "settled", "tries"].map(|field| line.text(field)), ["refused", "none", "1"], "{sticky}");
        assert_eq!(burdock.get("/").served_by(), "web-2");
        let _back = site.origin(1);
        assert_eq!(served(&burdock, &request), "web-1", "{sticky}");
    }
}

#[test]
fn session_names_never_appear_in_logs_or_metrics() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock =
        site.shop(2, &IDENTITY.replace("sticky: [", "sticky: [{route: {from: [{path_parameter: r, after: .}]}}, "));
    for request in [
        Request::get("/cart;jsessionid=SECRET?x=1"),
        Request::get("/cart?sid=SECRET"),
        Request::get("/a;r=SECRET.web-1/b"),
        Request::get("/c").header("X-Session-Id", "SECRET").header("Cookie", "JSESSIONID=SECRET"),
        Request::get("/d").header("Authorization", &bearer("sid", "SECRET")),
    ] {
        assert_eq!(burdock.ask(&request).status, 200);
    }
    burdock.access_log(5);
    let log = std::fs::read_to_string(site.path("access.log")).unwrap();
    assert!(log.contains("/a/b"), "{log}");
    for text in [log, burdock.stderr(), burdock.exposition()] {
        assert!(!text.contains("SECRET") && !text.contains("eyJ"), "{text}");
    }
}
