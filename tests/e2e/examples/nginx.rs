//! nginx's ip_hash, sticky cookie, sticky route and sticky learn.

use std::collections::BTreeSet;

use super::{from, last, run};
use crate::harness::{Reply, Request, Site, TokenCodec};

#[test]
fn ip_hash_keeps_each_network_on_its_server() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = run(&site, "ip-hash.yaml");
    let home = |address: &str| {
        let response = burdock.ask(&from(address));
        assert_eq!(response.set_cookies(), [""; 0]);
        response.served_by().to_owned()
    };
    let homes: Vec<_> = (0..20).map(|network| home(&format!("198.51.{network}.7"))).collect();
    assert_eq!(homes, (0..20).map(|network| home(&format!("198.51.{network}.99"))).collect::<Vec<_>>());
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 3, "{homes:?}");
    let hosts: BTreeSet<_> = (0..20).map(|host| home(&format!("2001:db8::{host:x}"))).collect();
    assert_eq!(hosts.len(), 3, "the whole IPv6 address is hashed");
}

#[test]
fn ip_hash_moves_only_a_lost_servers_clients_until_it_returns() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "ip-hash.yaml");
    let homes = || -> Vec<_> {
        let home = |network| burdock.ask(&from(&format!("198.51.{network}.7"))).served_by().to_owned();
        (0..20).map(home).collect()
    };
    let before = homes();
    drop(origins.remove(0));
    let meanwhile = homes();
    for (before, meanwhile) in before.iter().zip(&meanwhile) {
        assert!(if before == "web-1" { meanwhile != "web-1" } else { meanwhile == before }, "{before} {meanwhile}");
    }
    let _back = site.origin(1);
    burdock.wait_until_all_up();
    assert_eq!(homes(), before);
}

#[test]
fn sticky_cookie_keeps_a_browser_for_an_hour_after_its_last_visit() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = run(&site, "nginx-sticky-cookie.yaml");
    let mut client = burdock.client();
    let first = client.get("/");
    let line = first.set_cookies()[0].to_owned();
    assert!(line.starts_with("srv_id="), "{line}");
    assert!(line.ends_with("; Path=/; Domain=example.com; Max-Age=3600; HttpOnly"), "{line}");
    for _ in 0..3 {
        let next = client.get("/");
        assert_eq!((next.served_by(), next.set_cookies().len()), (first.served_by(), 0));
    }
    assert_eq!(last(&origins, first.served_by()).header("cookie"), None);
    let key = std::fs::read_to_string(site.path("state/key")).unwrap();
    let codec = TokenCodec::for_cookie(&key, "backend", "srv_id");
    // The hour is the browser's, as with nginx: it begins again with each renewal.
    for (minutes, reason, cookies) in [(5, "hit", 0), (7, "hit", 1), (59, "hit", 1), (70, "hit", 1)] {
        let token = codec.token("backend2", 86_400, minutes * 60);
        let path = format!("/after/{minutes}");
        let response = burdock.ask(&Request::get(&path).header("Cookie", &format!("srv_id={token}")));
        assert_eq!(
            (response.set_cookies().len(), burdock.log_line(&path).reason()),
            (cookies, reason.to_owned()),
            "{minutes}"
        );
    }
}

#[test]
fn sticky_cookie_accepts_cookies_set_by_nginx() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<2>().into();
    let burdock = run(&site, "nginx-sticky-cookie.yaml");
    let of_nginx = format!("srv_id={:x}", md5::compute(site.server(2).to_string()));
    for _ in 0..3 {
        let accepted = burdock.ask(&Request::get("/").header("Cookie", &of_nginx));
        assert_eq!((accepted.served_by(), accepted.set_cookies().len()), ("web-2", 1));
    }
    drop(origins.remove(1));
    let moved = burdock.ask(&Request::get("/").header("Cookie", &of_nginx));
    let (name, token) = moved.cookie("srv_id").unwrap();
    assert_eq!(moved.served_by(), "web-1");
    let _back = site.origin(2);
    let next = burdock.ask(&Request::get("/").header("Cookie", &format!("{name}={token}")));
    assert_eq!((next.served_by(), next.set_cookies().len()), ("web-1", 0), "a move is permanent");
}

#[test]
fn sticky_route_follows_the_applications_route() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "nginx-sticky-route.yaml");
    for (request, server) in [
        (Request::get("/").header("Cookie", "route=B"), "web-2"),
        (Request::get("/").header("Cookie", "route=A; JSESSIONID=1A2B.C"), "web-1"),
        (Request::get("/").header("Cookie", "JSESSIONID=1A2B.C"), "web-3"),
        (Request::get("/?route=C"), "web-3"),
        (Request::get("/?route=A").header("Cookie", "route=; JSESSIONID=1A2B"), "web-1"),
    ] {
        let response = burdock.ask(&request);
        assert_eq!((response.served_by(), response.set_cookies().len()), (server, 0), "{request:?}");
    }
    assert_eq!(last(&origins, "web-2").header("cookie"), Some("route=B"), "the application sees its cookie");
    let unrouted: BTreeSet<_> = (0..6).map(|_| burdock.get("/").served_by().to_owned()).collect();
    assert_eq!(unrouted.len(), 3, "clients without a route are balanced");
    drop(origins.remove(1));
    let lost = |_| burdock.ask(&Request::get("/").header("Cookie", "JSESSIONID=1A2B.B")).served_by().to_owned();
    let away: BTreeSet<_> = (0..4).map(lost).collect();
    assert!(away.len() == 1 && !away.contains("web-2"), "{away:?}");
    let _back = site.origin(2);
    burdock.wait_until_all_up();
    assert_eq!(lost(0), "web-2");
}

#[test]
fn sticky_learn_keeps_the_applications_sessions() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "nginx-sticky-learn.yaml");
    for origin in &origins {
        let session = format!("JSESSIONID=session-of-{}; Path=/; HttpOnly", origin.name);
        origin.respond_with(move |request| match request.path() {
            "/login" => Reply::with("Set-Cookie", &session),
            _ => Reply::status(200),
        });
    }
    let at = |path: &str, name: &str| {
        let request = Request::get(path).header("Cookie", &format!("JSESSIONID={name}"));
        burdock.ask(&request).served_by().to_owned()
    };
    for n in 0..3 {
        let begun = burdock.get("/login");
        burdock.access_log(n + 1);
        let name = format!("session-of-{}", begun.served_by());
        assert_eq!(begun.set_cookies(), [format!("JSESSIONID={name}; Path=/; HttpOnly")]);
    }
    for server in ["web-1", "web-2", "web-3"].repeat(3) {
        assert_eq!(at("/", &format!("session-of-{server}")), server);
    }
    let unknown: BTreeSet<_> = (0..20).map(|n| at("/stranger", &format!("unknown-{n}"))).collect();
    assert_eq!(unknown.len(), 3, "names that the application did not create");
    assert!(
        burdock.access_log(32).iter().filter(|line| line.text("path") == "/stranger").all(|line| line.reason() == "new")
    );
    drop(origins.remove(0));
    let moved = at("/lost", "session-of-web-1");
    assert_eq!(burdock.log_line("/lost").text("settled"), "rewritten");
    let _back = site.origin(1);
    (0..4).for_each(|_| assert_eq!(at("/after", "session-of-web-1"), moved));
}
