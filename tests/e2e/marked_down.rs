//! Connections whose server goes down while they use it.

use crate::harness::{Burdock, Origin, Reply, Request, Site, Wire, wait_until};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const CHECKED: &str = "balance: first\nhealth_check: {tcp: {}, port: 9050, interval: 100ms, timeout: 100ms}";

/// The path decides what the server does: an upgraded stream, silence, half a page, or a plain 200.
fn behave(origin: &Origin) {
    origin.respond_with(|request| match request.path() {
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
fn on_marked_down_close_closes_connections_to_a_down_server() {
    let site = Site::new();
    let (origin, check_target) = (site.origin(1), site.origin(50));
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
    wait_until("all three requests are in flight", || in_flight(&burdock) == 3.0);
    drop(check_target);
    assert!(stream.is_closed() && silent.is_closed());
    assert!(half.take(300_000).is_err(), "the response is cut off");
    wait_until("their slots are free", || in_flight(&burdock) == 0.0);
    wait_until("the closed connections are logged", || burdock.stderr().contains("shop/web-1: closed 3 client connections"));
    // An idle connection uses no server, so it stays open.
    assert_eq!(idle.get("/").status, 503);
    wait_until("no connection to the server is left", || origin.connections() <= 1);
}

#[test]
fn connections_to_a_down_server_stay_open_by_default() {
    let site = Site::new();
    let (origin, check_target) = (site.origin(1), site.origin(50));
    behave(&origin);
    let burdock = site.shop(1, CHECKED);
    let mut stream = socket(&burdock);
    drop(check_target);
    wait_until("the server is down", || burdock.metrics().sum("burdock_server_up", &[]) == 0.0);
    echo(&mut stream);
}

#[test]
fn an_ejection_closes_connections_and_new_ones_go_elsewhere() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let settings = "balance: first\non_marked_down: close\npassive_health: {failures: 2, hold: 60s}";
    origins.iter().for_each(behave);
    let burdock = site.shop(2, settings);
    let mut stream = socket(&burdock);
    origins[0].respond_with(|_| Reply::status(500));
    (0..2).for_each(|_| assert_eq!(burdock.get("/").status, 500));
    assert!(stream.is_closed());
    let mut elsewhere = socket(&burdock);
    assert_eq!(origins[1].last().path(), "/socket");
    echo(&mut elsewhere);
}
