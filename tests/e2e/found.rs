//! Ties that are found in what clients and applications say anyway, on the wire: routes, and names that are hashed.

use std::collections::BTreeSet;

use crate::harness::{Burdock, Request, Site, shop};

const TOMCAT: &str =
    "sticky: [{route: {from: [{cookie: JSESSIONID, after: '.'}, {path_parameter: jsessionid, after: '.'}, 'query:route']}}]";
const IDENTITY: &str = "sticky: [{hash: {key: [cookie:JSESSIONID, header:X-Session-Id, query:sid, path_parameter:jsessionid, bearer_claim:sid]}}]";

fn served(burdock: &Burdock, request: &Request) -> String {
    burdock.ask(request).served_by().to_owned()
}

/// The servers of so many requests, each made for its number.
fn servers(burdock: &Burdock, count: usize, request: impl Fn(usize) -> Request) -> Vec<String> {
    (0..count).map(|n| served(burdock, &request(n))).collect()
}

/// Each of several requests has one server, and not all have the same.
#[track_caller]
fn assert_tied(burdock: &Burdock, request: impl Fn(usize) -> Request) {
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
fn a_route_is_found_in_a_cookie_a_path_parameter_or_the_query() {
    let site = Site::take();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, TOMCAT);
    let cookie = |value: &str| Request::get("/cookie").header("Cookie", &format!("JSESSIONID={value}"));
    for _ in 0..3 {
        assert_eq!(served(&burdock, &cookie("A1B2.web-2")), "web-2");
        assert_eq!(served(&burdock, &Request::get("/cart;jsessionid=A1B2.web-3/items?x=1")), "web-3");
        assert_eq!(served(&burdock, &Request::get("/query?a=1&route=web-1")), "web-1");
    }
    assert_eq!(origins[2].last().target(), "/cart;jsessionid=A1B2.web-3/items?x=1", "the server sees what was asked for");
    assert_eq!(origins[1].last().all("cookie"), ["JSESSIONID=A1B2.web-2"]);
    let response = burdock.ask(&cookie("A1B2.web-2"));
    assert_eq!((response.set_cookies().len(), response.header("cache-control")), (0, None), "nothing is written");
    for path in ["/cookie", "/query"] {
        let line = burdock.line(path);
        assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["hit", "route", "kept"]);
    }
}

#[test]
fn servers_may_have_routes_that_are_not_their_ids() {
    let site = Site::take();
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
fn a_route_whose_server_is_gone_leads_to_one_other_and_back() {
    let site = Site::take();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = site.shop(3, TOMCAT);
    let request = Request::get("/lost").header("Cookie", "JSESSIONID=A1B2.web-1");
    drop(origins.remove(0));
    let away = servers(&burdock, 4, |_| request.clone());
    assert!(away.iter().all(|server| *server == away[0] && server != "web-1"), "{away:?}");
    let line = burdock.line("/lost");
    assert_eq!(["from", "settled"].map(|field| line.text(field)), ["web-1", "none"]);
    let _back = site.origin(1);
    assert_eq!(served(&burdock, &request), "web-1");
}

#[test]
fn an_address_is_the_one_that_a_trusted_proxy_tells() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]";
    let burdock = site.burdock(&format!("{listeners}\n{}", shop(3, "sticky: [{hash: {key: client_ip}}]")));
    let from = |n: usize| Request::get("/").header("X-Forwarded-For", &format!("198.51.100.{n}"));
    assert_tied(&burdock, from);
    let chained = |n: usize| Request::get("/").header("X-Forwarded-For", &format!("203.0.113.9, 198.51.100.{n}, 127.0.0.1"));
    assert_eq!(servers(&burdock, 20, chained), servers(&burdock, 20, from));
}

#[test]
fn an_address_that_nobody_vouches_for_is_not_believed() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: [{hash: {key: client_ip}}]");
    let spread: BTreeSet<_> =
        servers(&burdock, 20, |n| Request::get("/").header("X-Forwarded-For", &format!("198.51.100.{n}")))
            .into_iter()
            .collect();
    assert_eq!(spread.len(), 1, "they all come from this machine: {spread:?}");
}

#[test]
fn a_hashed_name_is_a_tie_and_nothing_is_written() {
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
        let site = Site::take();
        let _origins = site.origins::<3>();
        let burdock = site.shop(3, &format!("sticky: [{{hash: {{key: '{key}'}}}}]").replace("'{", "{").replace("}'", "}"));
        assert_tied(&burdock, request);
        let response = burdock.ask(&request(1));
        assert_eq!((response.set_cookies().len(), response.header("cache-control")), (0, None), "{key}");
        let line = burdock.log(1).remove(0);
        assert_eq!(["reason", "method", "settled"].map(|field| line.text(field)), ["hit", "hash", "kept"], "{key}");
    }
}

#[test]
fn those_without_a_key_go_to_the_next_entry_and_not_all_to_one_server() {
    let site = Site::take();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: [{hash: {key: [header:X-User, bearer_claim:sub]}}, cookie]");
    for n in 0..6 {
        let mut client = burdock.client();
        let path = format!("/{n}");
        let first = client.ask(Request::get(&path).header("X-User", "").header("Authorization", "Bearer opaque"));
        assert_eq!(first.set_cookies().len(), 1);
        assert_eq!(client.get("/next").served_by(), first.served_by());
        assert_eq!(burdock.line(&path).reason(), "new");
    }
    assert_eq!(origins.each_ref().map(|origin| origin.received().len()), [4, 4, 4]);
    assert_eq!(burdock.line("/next").text("method"), "cookie");
}

#[test]
fn one_identity_is_one_session_for_web_and_mobile() {
    let site = Site::take();
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
        let site = Site::take();
        let _other = site.origin(2);
        let burdock = site.shop(2, &format!("sticky: [{{{sticky}}}]"));
        let refused = burdock.ask(&request);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")), "{sticky}");
        let line = burdock.line("/strict");
        assert_eq!(["reason", "settled", "tries"].map(|field| line.text(field)), ["refused", "none", "1"], "{sticky}");
        assert_eq!(burdock.get("/").served_by(), "web-2");
        let _back = site.origin(1);
        assert_eq!(served(&burdock, &request), "web-1", "{sticky}");
    }
}

#[test]
fn what_names_a_session_is_never_written_down() {
    let site = Site::take();
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
    burdock.log(5);
    let log = std::fs::read_to_string(site.path("access.log")).unwrap();
    assert!(log.contains("/a/b"), "{log}");
    for text in [log, burdock.stderr(), burdock.exposition()] {
        assert!(!text.contains("SECRET") && !text.contains("eyJ"), "{text}");
    }
}
