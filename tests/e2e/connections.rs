//! Connections of clients and to servers: how long they are kept, and what is left of them.

use crate::harness::{Burdock, Page, Reply, Request, Site, wait_until};

#[test]
fn a_client_that_leaves_in_the_middle_of_an_answer_leaves_nothing_behind() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|_| Page::new(200).body(vec![b'x'; 5 * 1024 * 1024]).into());
    for _ in 0..5 {
        let mut wire = burdock.wire();
        wire.send(Request::get("/large").bytes());
        wire.head().unwrap();
        wire.take(1000).unwrap();
    }
    wait_until("no request is in flight", || burdock.metrics().sum("burdock_server_in_flight_requests", &[]) == 0.0);
    origin.behave(|_| Reply::status(200));
    assert_eq!(burdock.get("/").status, 200);
    assert_eq!(burdock.log(6).len(), 6, "each has its line");
}

#[test]
fn a_client_that_leaves_while_the_server_thinks_leaves_nothing_behind() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.behave(|request| if request.path() == "/think" { Reply::Silence } else { Reply::status(200) });
    let mut wire = burdock.wire();
    wire.send(Request::get("/think").bytes());
    wait_until("the server thinks", || origin.received().len() == 1);
    assert_eq!(burdock.metrics().sum("burdock_server_in_flight_requests", &[]), 1.0);
    drop(wire);
    wait_until("no request is in flight", || burdock.metrics().sum("burdock_server_in_flight_requests", &[]) == 0.0);
    assert_eq!(burdock.get("/").status, 200);
}

#[test]
fn a_connection_that_is_to_be_closed_is_closed() {
    let site = Site::take();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("GET / HTTP/1.0\r\nConnection: close\r\n\r\n");
    assert_eq!(wire.response().status, 200);
    assert!(wire.is_closed());
}

#[test]
fn connections_to_servers_are_kept_and_shared() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    for _ in 0..10 {
        assert_eq!(burdock.get("/").status, 200);
    }
    let fresh = origin.received().iter().filter(|request| request.earlier == 0).count();
    assert!(fresh <= 2, "{fresh} connections for 10 requests");
}

fn impatient(site: &Site) -> Burdock {
    site.burdock(&format!(
        "listeners: [{{address: $IP:8080, keepalive_timeout: 1s}}]\n{}",
        crate::harness::shop(1, "sticky: cookie")
    ))
}

#[test]
fn a_client_connection_is_closed_when_its_next_request_stays_away() {
    let site = Site::take();
    let _origin = site.origin(1);
    let burdock = impatient(&site);
    let mut wire = burdock.wire();
    assert_eq!(wire.ask(&Request::get("/")).status, 200);
    assert!(!wire.has_news(), "it is kept for a while");
    assert!(wire.is_closed());
}

#[test]
fn a_client_connection_on_which_nothing_comes_is_closed_too() {
    let site = Site::take();
    let burdock = impatient(&site);
    assert!(burdock.wire().is_closed());
}

#[test]
fn a_connection_to_a_server_is_closed_before_the_server_would() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {keepalive: 1s}");
    assert_eq!(burdock.get("/").status, 200);
    assert_eq!(origin.connections(), 1, "it is kept for a while");
    wait_until("it is closed", || origin.connections() == 0);
}
