//! HAProxy's balance source, cookies in insert and prefix mode, and the former appsession.

use std::collections::BTreeSet;

use super::{from, last, run};
use crate::harness::{ReceivedRequest, Reply, Request, Site};

#[test]
fn balance_source_keeps_each_address_on_its_server() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "haproxy-source.yaml");
    let homes = || -> Vec<String> {
        (0..20).map(|client| burdock.ask(&from(&format!("198.51.100.{client}"))).served_by().to_owned()).collect()
    };
    let before = homes();
    assert_eq!(homes(), before);
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3, "neighboring addresses spread: {before:?}");
    drop(origins.remove(2));
    for (before, now) in before.iter().zip(homes()) {
        assert!(if before == "web-3" { now != "web-3" } else { now == *before }, "{before} {now}");
    }
}

#[test]
fn an_inserted_cookie_is_set_once_hidden_and_never_cached() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = run(&site, "haproxy-insert.yaml");
    let mut client = burdock.client();
    let first = client.get("/");
    let route = first.served_by().replace("web-", "S");
    assert_eq!(first.set_cookies(), [format!("SERVERID={route}; Path=/; HttpOnly")]);
    assert!(first.header("cache-control").is_some_and(|value| value.contains("private")), "nocache: {first:?}");
    for _ in 0..5 {
        let next = client.get("/");
        assert_eq!((next.served_by(), next.set_cookies().len()), (first.served_by(), 0), "indirect");
    }
    assert_eq!(last(&origins, first.served_by()).header("cookie"), None, "indirect");
}

#[test]
fn cookies_inserted_by_haproxy_are_accepted_and_updated_on_failover() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "haproxy-insert.yaml");
    let holding = |value: &str| burdock.ask(&Request::get("/").header("Cookie", &format!("SERVERID={value}")));
    let from_haproxy = holding("S2");
    assert_eq!((from_haproxy.served_by(), from_haproxy.set_cookies().len()), ("web-2", 0));
    drop(origins.remove(1));
    let moved = holding("S2");
    let route = moved.served_by().replace("web-", "S");
    assert!(moved.served_by() != "web-2" && moved.cookie("SERVERID") == Some(("SERVERID", &*route)), "{moved:?}");
    let unknown = holding("S9");
    assert_eq!((unknown.status, unknown.set_cookies().len()), (200, 1));
}

/// An application that begins a session for clients without one or with an unknown one.
fn application(name: &str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync + use<> {
    let session = format!("JSESSIONID=of-{name}");
    move |request| match request.header("cookie") {
        Some(known) if known == session => Reply::status(200),
        Some(_) | None => Reply::with("Set-Cookie", &format!("{session}; Path=/shop")),
    }
}

#[test]
fn a_cookie_prefix_pins_the_session_and_is_hidden_from_servers() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<2>().into();
    let burdock = run(&site, "haproxy-prefix.yaml");
    origins.iter().for_each(|origin| origin.respond_with(application(&origin.name)));
    let mut client = burdock.client_at("web-1");
    assert!(client.jar["JSESSIONID"].ends_with("~of-web-1"), "{:?}", client.jar);
    for _ in 0..4 {
        let response = client.get("/");
        assert_eq!((response.served_by(), response.set_cookies().len()), ("web-1", 0), "the application knows its session");
    }
    drop(origins.remove(0));
    let moved = client.get("/");
    assert_eq!((moved.served_by(), moved.set_cookies().len()), ("web-2", 1), "a new session at another server");
    assert!(client.jar["JSESSIONID"].ends_with("~of-web-2"), "{:?}", client.jar);
    assert_eq!(client.get("/").set_cookies(), [""; 0]);
}

#[test]
fn cookie_prefixes_set_by_haproxy_are_accepted() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = run(&site, "haproxy-prefix.yaml");
    origins.iter().for_each(|origin| origin.respond_with(application(&origin.name)));
    for (value, server) in [("S1~of-web-1", "web-1"), ("S2~of-web-2", "web-2")] {
        for _ in 0..3 {
            let response = burdock.ask(&Request::get("/").header("Cookie", &format!("JSESSIONID={value}")));
            assert_eq!((response.served_by(), response.set_cookies().len()), (server, 0), "{value}");
        }
    }
}

/// An application that begins sessions with long ids, and sends `theme` with all other responses.
fn with_long_names(name: &str) -> impl Fn(&ReceivedRequest) -> Reply + Send + Sync + use<> {
    let server = name.to_owned();
    move |request| match request.path() {
        "/login" => {
            let (shared, rest) = (format!("{server:-<52}"), request.target().replace("/login?", ""));
            Reply::with("Set-Cookie", &format!("JSESSIONID={shared}{rest}; Path=/; HttpOnly"))
        }
        _ => Reply::with("Set-Cookie", "theme=dark"),
    }
}

#[test]
fn appsession_matches_sessions_by_their_first_52_bytes() {
    let site = Site::new();
    let mut origins: Vec<_> = site.origins::<3>().into();
    let burdock = run(&site, "haproxy-appsession.yaml");
    origins.iter().for_each(|origin| origin.respond_with(with_long_names(&origin.name)));
    let mut homes = BTreeSet::new();
    for n in 0..6 {
        let mut client = burdock.client();
        let begun = client.get(&format!("/login?tail-{n}"));
        let name = client.jar["JSESSIONID"].clone();
        assert_eq!(begun.set_cookies(), [format!("JSESSIONID={name}; Path=/; HttpOnly")]);
        (0..4).for_each(|_| assert_eq!(client.get("/").served_by(), begun.served_by()));
        let other_tail = format!("{}.{n}", &name[..52]);
        for request in [
            Request::get("/").header("Cookie", &format!("JSESSIONID={other_tail}")),
            Request::get(&format!("/cart;jsessionid={other_tail}/items?a=1")),
        ] {
            assert_eq!(burdock.ask(&request).served_by(), begun.served_by(), "len 52");
        }
        homes.insert(begun.served_by().to_owned());
    }
    assert_eq!(homes.len(), 3, "roundrobin");
    assert_eq!(last(&origins, "web-1").header("burdock-affinity"), None);
    drop(origins.remove(0));
    let lost = || {
        let request = Request::get("/lost").header("Cookie", &format!("JSESSIONID={:-<52}", "web-1"));
        burdock.ask(&request).served_by().to_owned()
    };
    let moved = lost();
    let _back = site.origin(1);
    (0..4).for_each(|_| assert_eq!(lost(), moved, "a move is permanent"));
}
