//! Connections whose server goes down while they are at it.

use crate::harness::{Burdock, Origin, Reply, Request, Site, Wire, wait_until};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const CHECKED: &str = "balance: first\nhealth_check: {tcp: {}, port: 9050, interval: 100ms, timeout: 100ms}";

/// The server answers streams, silence and pages, each by its path.
fn behave(origin: &Origin) {
    origin.behave(|request| match request.path() {
        "/socket" => Reply::Echo(SWITCH.into()),
        "/silence" => Reply::Silence,
        "/half" => Reply::Raw([&b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n"[..], &[b'x'; 200_000]].concat()),
        _ => Reply::status(200),
    });
}

fn socket(burdock: &Burdock) -> Wire {
    let mut wire = burdock.wire();
    let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
    assert_eq!(wire.ask(&request).status, 101);
    echo(&mut wire);
    wire
}

fn echo(wire: &mut Wire) {
    wire.send("hello");
    assert_eq!(wire.take(5).unwrap(), b"hello");
}

fn in_flight(burdock: &Burdock) -> f64 {
    burdock.metrics().sum("burdock_server_in_flight_requests", &[])
}

#[test]
fn connections_at_a_server_that_goes_down_are_closed_where_that_is_wanted() {
    let site = Site::take();
    let (origin, doctor) = (site.origin(1), site.origin(50));
    behave(&origin);
    let burdock = site.shop(1, &format!("{CHECKED}\non_marked_down: close"));
    let mut idle = burdock.client();
    assert_eq!(idle.get("/").status, 200);
    let mut stream = socket(&burdock);
    let [mut silent, mut half] = ["/silence", "/half"].map(|path| {
        let mut wire = burdock.wire();
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        wire
    });
    half.head().unwrap();
    half.take(100_000).unwrap();
    wait_until("all are there", || in_flight(&burdock) == 3.0);
    drop(doctor);
    assert!(stream.is_closed() && silent.is_closed());
    assert!(half.take(300_000).is_err(), "it ends before its end");
    wait_until("their places are free", || in_flight(&burdock) == 0.0);
    wait_until("it is told", || burdock.stderr().contains("shop/web-1: 3 client connections closed"));
    // A connection without a request is not at any server.
    assert_eq!(idle.get("/").status, 503);
    wait_until("nothing is left at the server", || origin.connections() <= 1);
}

#[test]
fn connections_at_a_server_that_goes_down_stay_by_default() {
    let site = Site::take();
    let (origin, doctor) = (site.origin(1), site.origin(50));
    behave(&origin);
    let burdock = site.shop(1, CHECKED);
    let mut stream = socket(&burdock);
    drop(doctor);
    wait_until("it is down", || burdock.metrics().sum("burdock_server_up", &[]) == 0.0);
    echo(&mut stream);
}

#[test]
fn an_ejection_closes_connections_too_and_those_at_other_servers_stay() {
    let site = Site::take();
    let origins = site.origins::<2>();
    let settings = "balance: first\non_marked_down: close\npassive_health: {failures: 2, hold: 60s}";
    origins.iter().for_each(behave);
    let burdock = site.shop(2, settings);
    let mut stream = socket(&burdock);
    origins[0].behave(|_| Reply::status(500));
    (0..2).for_each(|_| assert_eq!(burdock.get("/").status, 500));
    assert!(stream.is_closed());
    let mut elsewhere = socket(&burdock);
    assert_eq!(origins[1].last().path(), "/socket");
    echo(&mut elsewhere);
}
