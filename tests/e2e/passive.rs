//! Servers at which requests fail, those that come back, and times at which nearly all are down.

use std::time::{Duration, Instant};

use crate::harness::{Burdock, Reply, Request, Site, shop, wait_until};

const EJECTS: &str = "sticky: cookie\npassive_health: {failures: 3, window: 10s, hold: 200ms, max_hold: 2s}";

fn up(burdock: &Burdock, server: &str) -> bool {
    burdock.metrics().sum("burdock_server_up", &[("server", server)]) == 1.0
}

fn changes(burdock: &Burdock, server: &str, to: &str) -> f64 {
    burdock.metrics().sum("burdock_server_health_changes_total", &[("server", server), ("to", to)])
}

/// Clients come until this server is ejected.
fn eject(burdock: &Burdock, server: &str, path: &str) {
    wait_until("it is ejected", || {
        burdock.get(path);
        changes(burdock, server, "ejected") >= 1.0
    });
}

#[test]
fn a_server_that_answers_with_failures_is_ejected_and_comes_back_by_a_probe() {
    let site = Site::take();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, EJECTS);
    origins[0].behave(|_| Reply::status(500));
    eject(&burdock, "web-1", "/");
    let failed = origins[0].received().len();
    assert!(failed >= 3, "{failed}");
    origins[0].behave(|_| Reply::status(200));
    wait_until("it is up", || up(&burdock, "web-1"));
    wait_until("its return is counted", || changes(&burdock, "web-1", "up") == 1.0);
    assert_eq!(changes(&burdock, "web-1", "ejected"), 1.0);
    wait_until("it serves", || burdock.get("/").served_by() == "web-1");
    let told = "shop/web-1 is ejected for 200ms: requests fail there, the last by status_5xx";
    wait_until("it is told", || burdock.stderr().contains(told));
}

#[test]
fn a_server_that_refuses_connections_is_held_longer_each_time() {
    let site = Site::take();
    let _other = site.origin(2);
    let burdock = site.shop(2, EJECTS);
    eject(&burdock, "web-1", "/");
    let tries = |burdock: &Burdock| burdock.metrics().sum("burdock_server_failures_total", &[("server", "web-1")]);
    assert_eq!(tries(&burdock), 3.0);
    for held in ["ejected for 200ms", "stays ejected for 400ms", "stays ejected for 800ms", "stays ejected for 1.6s"] {
        wait_until(held, || burdock.stderr().contains(held));
    }
    assert_eq!(burdock.api().get("/upstreams/shop/servers/web-1")["health"], "ejected");
    // As long as it is ejected no request is tried there.
    (0..10).for_each(|_| assert_eq!(burdock.get("/").served_by(), "web-2"));
    assert_eq!(tries(&burdock), 3.0);
    let _back = site.origin(1);
    wait_until("it is up", || up(&burdock, "web-1"));
}

#[test]
fn an_ejection_and_its_probe_survive_a_reload() {
    let site = Site::take();
    let _other = site.origin(2);
    let burdock = site.shop(2, EJECTS);
    eject(&burdock, "web-1", "/");
    assert!(burdock.reload(&site, &shop(2, &format!("{EJECTS}\nbalance: first"))));
    assert_eq!(burdock.get("/").served_by(), "web-2");
    let _back = site.origin(1);
    wait_until("it is up", || up(&burdock, "web-1"));
    assert_eq!(burdock.get("/").served_by(), "web-1");
}

#[test]
fn a_probe_asks_what_the_check_asks() {
    let site = Site::take();
    let origins = site.origins::<2>();
    let check = "health_check: {http: {path: /healthz}, interval: 60s, timeout: 200ms}";
    let burdock = site.shop(2, &format!("{EJECTS}\n{check}"));
    origins[0].ill();
    eject(&burdock, "web-1", "/");
    wait_until("its probe has failed", || burdock.stderr().contains("web-1 stays ejected for 400ms: unexpected status 503"));
    origins[0].behave(|_| Reply::status(200));
    wait_until("it is up", || up(&burdock, "web-1"));
}

#[test]
fn half_of_the_servers_at_most_are_ejected() {
    let site = Site::take();
    let origins = site.origins::<4>();
    let burdock = site.shop(4, "passive_health: {failures: 2, hold: 60s}");
    origins.iter().for_each(|origin| origin.behave(|_| Reply::status(503)));
    (0..60).for_each(|_| assert_eq!(burdock.get("/").status, 503));
    let ejected = burdock.metrics().sum("burdock_server_health_changes_total", &[("to", "ejected")]);
    assert_eq!(ejected, 2.0);
}

#[test]
fn a_server_that_is_silent_is_ejected_and_one_that_waits_for_its_client_is_not() {
    let site = Site::take();
    let origins = site.origins::<2>();
    let burdock =
        site.shop(2, "timeouts: {read: 100ms}\nbalance: first\npassive_health: {failures: 3, hold: 60s, on: [timeout]}");
    for _ in 0..4 {
        let mut wire = burdock.wire();
        wire.send("POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
        assert_eq!(wire.response().status, 504);
    }
    assert_eq!(changes(&burdock, "web-1", "ejected"), 0.0);
    origins[0].behave(|_| Reply::Silence);
    (0..3).for_each(|_| assert_eq!(burdock.get("/").status, 504));
    assert_eq!(changes(&burdock, "web-1", "ejected"), 1.0);
    assert_eq!(burdock.get("/").served_by(), "web-2");
}

#[test]
fn a_kept_connection_that_was_closed_is_no_failure() {
    let site = Site::take();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\npassive_health: {failures: 1, hold: 60s}");
    origins[0].behave(|request| match request.earlier {
        0 => Reply::status(200),
        _ => Reply::Close,
    });
    let mut client = burdock.client_at("web-1");
    (0..6).for_each(|_| assert_eq!(client.get("/").served_by(), "web-1"));
    assert_eq!(changes(&burdock, "web-1", "ejected"), 0.0);
}

#[test]
fn what_becomes_of_an_upgraded_stream_is_no_failure() {
    let site = Site::take();
    let origin = site.origins::<2>();
    let burdock = site.shop(2, "balance: first\ntimeouts: {upgraded: 100ms}\npassive_health: {failures: 1, hold: 60s}");
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for last in [true, false] {
        origin[0].behave(move |_| if last { Reply::Last(switch.into()) } else { Reply::Echo(switch.into()) });
        let mut wire = burdock.wire();
        let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
        assert_eq!(wire.ask(&request).status, 101);
        assert!(wire.is_closed());
    }
    assert_eq!(changes(&burdock, "web-1", "ejected"), 0.0);
}

#[test]
fn with_too_few_servers_up_new_sessions_are_placed_whatever_health_says() {
    let site = Site::take();
    let _origins = site.origins::<4>();
    // Nobody answers where the checks ask.
    let down = "sticky: cookie\nhealth_check: {tcp: {}, port: 9050, interval: 200ms, timeout: 200ms}";
    let burdock = site.shop(4, down);
    assert_eq!(burdock.get("/").status, 503);
    drop(burdock);
    let burdock = site.shop(4, &format!("{down}\npanic_threshold: 50%"));
    let served: std::collections::BTreeSet<_> = (0..4).map(|_| burdock.get("/").served_by().to_owned()).collect();
    assert_eq!(served.len(), 4);
    wait_until("all are counted", || burdock.metrics().sum("burdock_decisions_total", &[("reason", "panic")]) == 4.0);
}

#[test]
fn a_server_that_comes_up_gets_its_share_little_by_little() {
    const GROWS: Duration = Duration::from_secs(4);
    let site = Site::take();
    let _first = site.origin(1);
    let check = "health_check: {tcp: {}, interval: 50ms, timeout: 50ms}";
    let burdock = site.shop(2, &format!("{check}\nslow_start: 4s"));
    let _second = site.origin(2);
    wait_until("it is up", || up(&burdock, "web-2"));
    let (begun, mut windows) = (Instant::now(), [(0.0, 0.0); 5]);
    while begun.elapsed() < GROWS + GROWS / 4 {
        let window = &mut windows[(begun.elapsed().as_millis() * 4 / GROWS.as_millis()) as usize];
        window.0 += f64::from(u8::from(burdock.get("/").served_by() == "web-2"));
        window.1 += 1.0;
    }
    let shares = windows.map(|(here, all)| here / all);
    // With so much of its weight beside a whole one, taken at the middle of each quarter.
    for (share, weight) in shares.into_iter().zip([0.125, 0.375, 0.625, 0.875, 1.0]) {
        let expected: f64 = weight / (1.0 + weight);
        assert!((share - expected).abs() < 0.06, "{shares:?}");
    }
}
