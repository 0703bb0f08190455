//! Upgraded connections: tied like requests, but open for longer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::harness::{Reply, Request, Response, Site, Wire, eventually, rounds, shop, wait_until};

#[test]
fn an_upgraded_connection_is_tied_and_stays_open() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| {
        Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    });
    let (mut wire, response) = upgrade(burdock.wire());
    assert_eq!((response.header("upgrade"), response.set_cookies().len()), (Some("websocket"), 1));
    for n in 0..5 {
        let message = format!("message {n}");
        wire.send(&message);
        assert_eq!(wire.take(message.len()).unwrap(), message.as_bytes());
    }
}

/// Upgrades a connection and sends the first bytes in both directions.
fn upgrade(mut wire: Wire) -> (Wire, Response) {
    let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let response = wire.ask(&request);
    assert_eq!(response.status, 101, "{response:?}");
    wire.send("hello");
    assert_eq!(wire.take(5).expect("the upgraded connection works"), b"hello");
    (wire, response)
}

/// In `/proc/net/tcp`.
const ESTABLISHED: &str = "01";

/// The timer of a connection.
#[derive(Debug, PartialEq)]
enum Timer {
    None,
    KeepAlive(Duration),
    /// Sent data waits for its confirmation.
    Other,
}

/// The timer of the connection to this peer, as `/proc/net/tcp` has it.
fn timer(peer: SocketAddr) -> Timer {
    let IpAddr::V4(ip) = peer.ip() else { panic!("sites have IPv4 addresses") };
    let peer = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), peer.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let socket = fields.find(|fields| fields[2] == peer && fields[3] == ESTABLISHED).expect("the connection is open");
    // In hundredths of a second.
    let due = |text| Duration::from_millis(u64::from_str_radix(text, 16).unwrap() * 10);
    match socket[5].split_once(':').unwrap() {
        ("00", _) => Timer::None,
        ("02", text) => Timer::KeepAlive(due(text)),
        _ => Timer::Other,
    }
}

/// The time until the next keep-alive probe on the connection to this peer.
fn probe_due_in(peer: SocketAddr) -> Duration {
    eventually("a keep-alive timer", || if let Timer::KeepAlive(due) = timer(peer) { Some(due) } else { None })
}

#[test]
fn clients_and_servers_that_vanish_are_noticed_by_tcp_keep_alive() {
    let site = Site::new();
    let origin = site.origin(1);
    let listener = "listeners: [{address: $IP:8080, tcp_keepalive: {idle: 600s}}]\n";
    let burdock = site.burdock(&format!("{listener}{}", shop(1, "sticky: cookie")));
    origin.respond_with(|_| {
        Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    });
    let (wire, _) = upgrade(burdock.wire());
    let client = probe_due_in(wire.local_address());
    assert!(client > Duration::from_secs(500) && client <= Duration::from_secs(600), "{client:?}");
    let server = probe_due_in(site.server(1));
    assert!(server > Duration::from_secs(30) && server <= Duration::from_secs(60), "{server:?}");
}

#[test]
fn tcp_keep_alive_can_be_turned_off() {
    let site = Site::new();
    let origin = site.origin(1);
    let listener = "listeners: [{address: $IP:8080, tcp_keepalive: none}]\n";
    let burdock = site.burdock(&format!("{listener}{}", shop(1, "sticky: cookie\ntcp_keepalive: none")));
    origin.respond_with(|_| {
        Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    });
    let (wire, _) = upgrade(burdock.wire());
    for peer in [wire.local_address(), site.server(1)] {
        let mut seen = Timer::Other;
        wait_until("all data are confirmed", || {
            seen = timer(peer);
            seen != Timer::Other
        });
        assert_eq!(seen, Timer::None);
    }
}

#[test]
fn upgrades_survive_servers_that_answer_immediately() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    origin.respond_with(|_| {
        Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..rounds(2_000)).for_each(|_| drop(upgrade(burdock.wire()))));
        }
    });
}

#[test]
fn an_upgraded_connection_outlives_the_read_timeout() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie\ntimeouts: {read: 200ms, upgraded: 60s}");
    origin.respond_with(|request| match request.path() {
        "/silence" => Reply::Silence,
        _ => Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec()),
    });
    let (mut wire, _) = upgrade(burdock.wire());
    // Two requests that run into the read timeout in turn serve as a clock.
    assert_eq!([burdock.get("/silence").status, burdock.get("/silence").status], [504, 504]);
    wire.send("still");
    assert_eq!(wire.take(5).unwrap(), b"still");
}

#[test]
fn an_upgrade_goes_to_the_clients_server_and_counts_as_in_flight() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let burdock = site.shop(3, "sticky: cookie");
    let client = burdock.client_at("web-2");
    for origin in &origins {
        let switch = format!(
            "HTTP/1.1 101 Switching Protocols\r\nX-Served-By: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            origin.name
        );
        origin.respond_with(move |_| Reply::Echo(switch.clone().into_bytes()));
    }
    let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let mut wire = burdock.wire();
    let response = wire.ask(&request.header("Cookie", &format!("BURDOCK_shop={}", client.token())));
    assert_eq!((response.status, response.served_by(), response.set_cookies().len()), (101, "web-2", 0));
    let in_flight = || burdock.metrics().sum("burdock_server_in_flight_requests", &[("server", "web-2")]);
    assert_eq!(in_flight(), 1.0);
    drop(wire);
    wait_until("the slot is free", || in_flight() == 0.0);
}

#[test]
fn an_h2c_upgrade_is_not_forwarded() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let request = Request::get("/")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__");
    assert_eq!(burdock.ask(&request).status, 200);
    assert_eq!((origin.last().header("upgrade"), origin.last().header("http2-settings")), (None, None));
}

#[test]
fn an_upgrade_is_redispatched_around_a_dead_server() {
    let site = Site::new();
    let origin = site.origin(2);
    let burdock = site.shop(2, "sticky: cookie");
    origin.respond_with(|_| {
        Reply::Echo(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec())
    });
    for _ in 0..2 {
        let (_, response) = upgrade(burdock.wire());
        assert_eq!(response.set_cookies().len(), 1);
    }
}

#[test]
fn a_server_may_refuse_to_upgrade() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    let response = wire.ask(&Request::get("/").header("Connection", "Upgrade").header("Upgrade", "websocket"));
    assert_eq!((response.status, response.set_cookies().len()), (200, 1));
}
