//! The cookie on the wire: what the client receives and what the server sees.

use crate::harness::{Page, Reply, Request, Site};

/// The attributes of our cookie in the response to a new client's request.
fn attributes(settings: &str, request: &Request) -> String {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.burdock(&format!(
        "listeners: [{{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}}]
upstreams: {{shop: {{servers: [{{id: web-1, address: $IP:9001}}], sticky: {settings}}}}}"
    ));
    let response = burdock.ask(request);
    let lines = response.set_cookies();
    assert_eq!(lines.len(), 1, "{response:?}");
    lines[0].split_once("; ").map_or_else(String::new, |(_, attributes)| attributes.to_owned())
}

/// The attributes, in alphabetical order.
fn sorted(attributes: &str) -> Vec<&str> {
    let mut all: Vec<_> = attributes.split("; ").collect();
    all.sort_unstable();
    all
}

#[test]
fn the_default_cookie_is_site_wide_and_http_only() {
    let set = attributes("cookie", &Request::get("/deep/path"));
    assert_eq!(sorted(&set), ["HttpOnly", "Path=/"]);
}

#[test]
fn the_cookie_is_secure_for_a_client_on_tls() {
    let set = attributes("cookie", &Request::get("/").header("X-Forwarded-Proto", "https"));
    assert_eq!(sorted(&set), ["HttpOnly", "Path=/", "SameSite=None", "Secure"]);
}

#[test]
fn the_cookie_has_the_configured_attributes() {
    let settings = "[{cookie: {name: tie, path: /shop, domain: example.com, http_only: false, secure: always, same_site: none, partitioned: true, max_age: 1h}}]";
    let set = attributes(settings, &Request::get("/"));
    assert_eq!(sorted(&set), ["Domain=example.com", "Max-Age=3600", "Partitioned", "Path=/shop", "SameSite=None", "Secure"]);
}

#[test]
fn secure_never_omits_secure_even_over_tls() {
    let set = attributes("[{cookie: {secure: never}}]", &Request::get("/").header("X-Forwarded-Proto", "https"));
    assert_eq!(sorted(&set), ["HttpOnly", "Path=/"]);
}

#[test]
fn a_sealed_value_has_76_characters_and_hides_the_server() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie");
    let values: Vec<_> = (0..4).map(|_| burdock.get("/").cookie("BURDOCK_shop").unwrap().1.to_owned()).collect();
    for value in &values {
        assert!(value.len() == 76 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{value}");
        assert!(!value.contains("web"), "{value}");
    }
}

#[test]
fn a_plain_value_is_the_servers_id() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: [{cookie: {token: plain}}]");
    let response = burdock.get("/");
    assert_eq!(response.cookie("BURDOCK_shop").unwrap().1, response.served_by());
    let chosen = burdock.ask(&Request::get("/").header("Cookie", "BURDOCK_shop=web-2"));
    assert_eq!((chosen.served_by(), chosen.set_cookies().len()), ("web-2", 0));
    let unknown = burdock.ask(&Request::get("/unknown").header("Cookie", "BURDOCK_shop=web-9"));
    assert_eq!(unknown.cookie("BURDOCK_shop").unwrap().1, unknown.served_by());
    assert_eq!(burdock.log_line("/unknown").reason(), "unknown_server");
}

#[test]
fn the_server_sees_every_cookie_but_ours_byte_for_byte() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut client = burdock.client();
    client.get("/");
    let ours = format!("BURDOCK_shop={}", client.token());
    for (sent, seen) in [
        (ours.clone(), None),
        (format!("a=1; {ours}; b=2"), Some("a=1; b=2")),
        (format!("{ours}; a=\"x; y\";b==;  c"), Some("a=\"x; y\";b==;  c")),
        (format!("a=1;b=2; {ours}"), Some("a=1;b=2")),
        (format!("{ours}; {ours}; a=1"), Some("a=1")),
        (format!("xBURDOCK_shop=1; {ours}; BURDOCK_shop2=3"), Some("xBURDOCK_shop=1; BURDOCK_shop2=3")),
        ("a=1;b=\"\\\";; c = d".to_owned(), Some("a=1;b=\"\\\";; c = d")),
    ] {
        assert_eq!(burdock.ask(&Request::get("/").header("Cookie", &sent)).status, 200);
        assert_eq!(origin.last().header("cookie"), seen, "{sent}");
    }
}

#[test]
fn several_cookie_headers_reach_the_server_as_one() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let mut client = burdock.client();
    let home = client.get("/").served_by().to_owned();
    let ours = format!("BURDOCK_shop={}", client.token());
    let request = Request::get("/crumbs").header("Cookie", "a=1").header("Cookie", &ours).header("Cookie", "b=2; c=3");
    assert_eq!(burdock.ask(&request).served_by(), home, "our cookie is found in any header line");
    let at_home = origins.iter().find(|origin| origin.name == home).unwrap();
    assert_eq!(at_home.last().all("cookie"), ["a=1; b=2; c=3"]);
}

#[test]
fn a_server_cookie_with_our_name_never_reaches_the_client() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: [{cookie: {token: plain}}]");
    origin.respond_with(|_| {
        Page::new(200).header("Set-Cookie", "BURDOCK_shop=evil; Path=/").header("Set-Cookie", "other=1").into()
    });
    let response = burdock.get("/");
    let mut names: Vec<_> = response.set_cookies().iter().map(|line| line.split(';').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["BURDOCK_shop=web-1", "other=1"]);
    let tied = burdock.ask(&Request::get("/").header("Cookie", "BURDOCK_shop=web-1"));
    assert_eq!(tied.set_cookies(), ["other=1"], "also where ours is not set");
}

#[test]
fn a_response_that_sets_our_cookie_is_private() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let cache_control = |from_server: Option<&'static str>| {
        origin.respond_with(move |_| {
            from_server.map_or_else(|| Reply::status(200), |value| Reply::with("Cache-Control", value))
        });
        let response = burdock.get("/");
        assert_eq!(response.set_cookies().len(), 1);
        response.all("cache-control").join(", ")
    };
    assert_eq!(cache_control(None), "private");
    for value in ["public, max-age=60", "max-age=60, s-maxage=600", "PUBLIC"] {
        let edited = cache_control(Some(value)).to_ascii_lowercase();
        assert!(
            edited.contains("private") && !edited.contains("public") && !edited.contains("s-maxage"),
            "{value} -> {edited}"
        );
    }
    assert!(cache_control(Some("public, max-age=60")).contains("max-age=60"));
    assert_eq!(cache_control(Some("no-store")), "no-store", "a stricter value stays");
}

#[test]
fn a_response_without_our_cookie_keeps_its_cache_control() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| Reply::with("Cache-Control", "public, s-maxage=60"));
    let mut client = burdock.client();
    client.get("/");
    assert_eq!(client.get("/").header("cache-control"), Some("public, s-maxage=60"));
}

#[test]
fn cookies_with_non_ascii_bytes_pass_unchanged() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut client = burdock.client();
    client.get("/");
    let mut wire = burdock.wire();
    wire.send(
        [
            b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=\xff\x80; BURDOCK_shop=",
            client.token().as_bytes(),
            b"; b=\xc3\x28\r\n\r\n",
        ]
        .concat(),
    );
    assert_eq!(wire.response().status, 200);
    assert_eq!(origin.last().header("cookie"), Some("a=\u{ff}\u{80}; b=\u{c3}("));
    assert_eq!(burdock.access_log(2)[1].reason(), "hit");
}

#[test]
fn a_server_that_sets_burdocks_cookie_is_warned_of_once() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| Reply::with("Set-Cookie", "login=5f2c9d; Path=/"));
    let burdock = site.shop(1, "sticky: [{cookie: {name: login}}]");
    for _ in 0..3 {
        assert_eq!(burdock.get("/").set_cookies().len(), 1);
    }
    let messages = burdock.stderr();
    let warnings: Vec<&str> = messages.lines().filter(|line| line.contains("cookie login, which drops theirs")).collect();
    assert_eq!(warnings.len(), 1, "{messages}");
}
