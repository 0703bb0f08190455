//! The main promise: a client stays on its server.

use std::collections::BTreeSet;

use crate::harness::{Page, Reply, Request, Site, curl, rounds};

#[test]
fn curl_with_a_cookie_jar_stays_on_its_server() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let jar = site.path("jar");
    let fetched: Vec<String> = (0..rounds(100)).map(|_| curl(&jar, burdock.listen, "/", &[]).ok().stdout).collect();
    let servers: BTreeSet<_> = fetched.iter().map(|text| field(text, "x-served-by")).collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    let cookies = fetched.iter().filter(|text| text.to_ascii_lowercase().contains("set-cookie:")).count();
    assert_eq!(cookies, 1, "the cookie is set once");
}

#[test]
fn curl_without_a_cookie_jar_is_a_new_client_each_time() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let servers: BTreeSet<_> = (0..9)
        .map(|n| field(&curl(&site.path(&n.to_string()), burdock.listen, "/", &[]).ok().stdout, "x-served-by"))
        .collect();
    assert_eq!(servers.len(), 3, "{servers:?}");
}

#[test]
fn new_clients_spread_evenly_and_each_stays() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let clients = 30;
    let visits = rounds(100);
    let stays = std::thread::scope(|scope| {
        let client = || {
            let mut client = burdock.client();
            (0..visits).map(|_| client.get("/").served_by().to_owned()).collect::<BTreeSet<_>>().len() == 1
        };
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().all(|client| client.join().unwrap())
    });
    assert!(stays);
    // Clients that come at the same moment may swap their turns, but no server gets more than one beyond its share.
    for origin in &origins {
        assert!(origin.received().len().abs_diff(clients / 3 * visits) <= visits, "{}", origin.name);
    }
}

#[test]
fn new_clients_are_distributed_by_weight() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let servers = "[{id: web-1, address: $IP:9001, weight: 3}, {id: web-2, address: $IP:9002}]";
    let burdock = site.burdock(&format!("upstreams: {{shop: {{servers: {servers}, sticky: cookie}}}}"));
    (0..40).for_each(|_| assert_eq!(burdock.get("/").status, 200));
    assert_eq!(origins.each_ref().map(|origin| origin.received().len()), [30, 10]);
}

#[test]
fn parallel_requests_of_a_tied_client_agree() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let mut client = burdock.client();
    let home = client.get("/").served_by().to_owned();
    let cookie = format!("BURDOCK_shop={}", client.token());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let response = burdock.ask(&Request::get("/").header("Cookie", &cookie));
                assert_eq!(response.served_by(), home);
            });
        }
    });
}

#[test]
fn cookieless_requests_on_one_connection_go_to_one_server() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let mut wire = burdock.wire();
    let servers: BTreeSet<_> = (0..6).map(|_| wire.ask(&Request::get("/")).served_by().to_owned()).collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
}

#[test]
fn without_sticky_requests_rotate_and_get_no_cookie() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, "");
    let servers: Vec<_> = (0..4)
        .map(|_| burdock.get("/"))
        .map(|response| {
            assert!(response.set_cookies().is_empty(), "{response:?}");
            response.served_by().to_owned()
        })
        .collect();
    assert_eq!(servers[0], servers[2]);
    assert_ne!(servers[0], servers[1]);
}

#[test]
fn each_upstream_of_a_host_has_its_own_cookie() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.burdock(
        "upstreams:
  shop: {servers: [{id: web-1, address: $IP:9001}], sticky: cookie}
  blog: {servers: [{id: web-2, address: $IP:9002}], sticky: cookie}
routes:
  - {match: {path_prefix: /}, upstream: shop}
  - {match: {path_prefix: /blog}, upstream: blog}
",
    );
    let mut client = burdock.client();
    assert_eq!(client.get("/").served_by(), "web-1");
    assert_eq!(client.get("/blog/1").served_by(), "web-2");
    assert_eq!(client.get("/blogger").served_by(), "web-1");
    assert_eq!(client.jar.keys().collect::<Vec<_>>(), ["BURDOCK_blog", "BURDOCK_shop"]);
}

#[test]
fn an_unrouted_host_or_path_gets_a_404() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.burdock(
        "upstreams: {shop: {servers: [$IP:9001], sticky: cookie}}
routes: [{match: {hosts: [shop.example.com, '*.shops.example.com'], path_prefix: /shop}, upstream: shop}]
",
    );
    let status = |host: &str, path: &str| burdock.ask(&Request::get(path).header("Host", host)).status;
    assert_eq!(status("shop.example.com", "/shop/1"), 200);
    assert_eq!(status("SHOP.example.com:8080", "/shop"), 200);
    assert_eq!(status("a.shops.example.com", "/shop"), 200);
    assert_eq!(status("shop.example.com", "/"), 404);
    assert_eq!(status("shops.example.com", "/shop"), 404);
    assert_eq!(status("shop.example.com", "/shop/../admin"), 404);
    assert_eq!(burdock.log_line("/").reason(), "refused");
}

#[test]
fn the_request_target_reaches_the_server_unchanged() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for target in ["/a%2Fb?x=%20&y=1;2", "/a//b/./c?", "/%61?q=a+b&&"] {
        assert_eq!(burdock.get(target).status, 200);
        assert_eq!(origin.last().target(), target);
    }
}

#[test]
fn every_response_below_500_ties_the_client() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|request| Reply::status(request.path()[1..].parse().unwrap()));
    for status in [200, 201, 204, 302, 304, 400, 401, 404, 429] {
        let response = burdock.get(&format!("/{status}"));
        assert_eq!((response.status, response.set_cookies().len()), (status, 1), "{response:?}");
    }
    for method in ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let response = burdock.ask(&Request::new(method, "/200").body(""));
        assert_eq!(response.set_cookies().len(), 1, "{method}");
    }
}

#[test]
fn a_5xx_response_ties_no_new_client() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| Reply::status(500));
    assert!(burdock.get("/").set_cookies().is_empty());
    assert_eq!(burdock.log_line("/").text("settled"), "none");
}

#[test]
fn new_tie_on_any_ties_on_a_5xx_response_too() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: [{cookie: {new_tie_on: any}}]");
    origin.respond_with(|_| Reply::status(500));
    assert_eq!(burdock.get("/").set_cookies().len(), 1);
}

#[test]
fn a_cors_preflight_gets_no_cookie() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let preflight = Request::new("OPTIONS", "/")
        .header("Origin", "https://app.example.com")
        .header("Access-Control-Request-Method", "PUT");
    let response = burdock.ask(&preflight);
    assert_eq!(response.served_by(), "web-1");
    assert!(response.set_cookies().is_empty(), "{response:?}");
}

#[test]
fn application_cookies_pass_alongside_ours() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| Page::new(200).header("Set-Cookie", "a=1; Path=/a").header("Set-Cookie", "b=\"2, 3\"").into());
    let response = burdock.get("/");
    let lines = response.set_cookies();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[..2], ["a=1; Path=/a", "b=\"2, 3\""]);
}

/// A header's value in what curl printed.
pub fn field(fetched: &str, name: &str) -> String {
    let lines = fetched.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned());
    values.next().unwrap_or_else(|| panic!("no {name} in {fetched}"))
}
