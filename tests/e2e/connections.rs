//! Client and server connections: how long they stay open, and what remains when a client leaves.

use crate::harness::{Burdock, Page, Reply, Request, Site, wait_until};

#[test]
fn a_client_that_leaves_mid_response_leaves_no_request_in_flight() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| Page::new(200).body(vec![b'x'; 5 * 1024 * 1024]).into());
    for _ in 0..5 {
        let mut wire = burdock.wire();
        wire.send(Request::get("/large").bytes());
        wire.head().unwrap();
        wire.take(1000).unwrap();
    }
    wait_until("no request is in flight", || burdock.metrics().sum("burdock_server_in_flight_requests", &[]) == 0.0);
    origin.respond_with(|_| Reply::status(200));
    assert_eq!(burdock.get("/").status, 200);
    assert_eq!(burdock.access_log(6).len(), 6, "each request has a log line");
}

#[test]
fn a_client_that_leaves_before_the_response_leaves_no_request_in_flight() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|request| if request.path() == "/think" { Reply::Silence } else { Reply::status(200) });
    let mut wire = burdock.wire();
    wire.send(Request::get("/think").bytes());
    wait_until("the server has the request", || origin.received().len() == 1);
    assert_eq!(burdock.metrics().sum("burdock_server_in_flight_requests", &[]), 1.0);
    drop(wire);
    wait_until("no request is in flight", || burdock.metrics().sum("burdock_server_in_flight_requests", &[]) == 0.0);
    assert_eq!(burdock.get("/").status, 200);
}

#[test]
fn a_request_with_connection_close_closes_its_connection() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("GET / HTTP/1.0\r\nConnection: close\r\n\r\n");
    assert_eq!(wire.response().status, 200);
    assert!(wire.is_closed());
}

#[test]
fn server_connections_are_pooled_across_clients() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for _ in 0..10 {
        assert_eq!(burdock.get("/").status, 200);
    }
    let fresh = origin.received().iter().filter(|request| request.earlier == 0).count();
    assert!(fresh <= 2, "{fresh} connections for 10 requests");
}

fn with_short_keepalive(site: &Site) -> Burdock {
    site.burdock(&format!(
        "listeners: [{{address: $IP:8080, keepalive_timeout: 1s}}]\n{}",
        crate::harness::shop(1, "sticky: cookie")
    ))
}

#[test]
fn keepalive_timeout_closes_an_idle_client_connection() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = with_short_keepalive(&site);
    let mut wire = burdock.wire();
    assert_eq!(wire.ask(&Request::get("/")).status, 200);
    assert!(!wire.is_readable(), "it stays open for a while");
    assert!(wire.is_closed());
}

#[test]
fn keepalive_timeout_closes_a_connection_that_never_sends_a_request() {
    let site = Site::new();
    let burdock = with_short_keepalive(&site);
    assert!(burdock.wire().is_closed());
}

#[test]
fn keepalive_timeout_closes_an_idle_server_connection() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {keepalive: 1s}");
    assert_eq!(burdock.get("/").status, 200);
    assert_eq!(origin.connections(), 1, "it stays open for a while");
    wait_until("it is closed", || origin.connections() == 0);
}
