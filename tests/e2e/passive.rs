//! Passive health: servers on which requests fail, their return, and phases in which nearly all servers are down.

use std::time::{Duration, Instant};

use crate::harness::{Burdock, Reply, Request, Site, Wire, shop, wait_until};

const EJECTS: &str = "sticky: cookie\npassive_health: {failures: 3, window: 10s, hold: 200ms, max_hold: 2s}";

fn up(burdock: &Burdock, server: &str) -> bool {
    burdock.metrics().sum("burdock_server_up", &[("server", server)]) == 1.0
}

fn changes(burdock: &Burdock, server: &str, to: &str) -> f64 {
    burdock.metrics().sum("burdock_server_health_changes_total", &[("server", server), ("to", to)])
}

/// Sends requests until this server is ejected.
fn eject(burdock: &Burdock, server: &str, path: &str) {
    wait_until("the server is ejected", || {
        burdock.get(path);
        changes(burdock, server, "ejected") >= 1.0
    });
}

#[test]
fn addresses_where_nothing_listens_are_not_tried_again_and_again() {
    let site = Site::new();
    let _origin = site.origin(4);
    let burdock = site.shop(4, "");
    let statuses: Vec<_> = (0..60).map(|_| burdock.get("/").status).collect();
    // Three failures each eject two of four. The third dead server and the fourth are left: three tries are enough.
    assert!(statuses[10..].iter().all(|&status| status == 200), "{statuses:?}");
    assert_eq!(["web-1", "web-2", "web-3"].iter().filter(|server| up(&burdock, server)).count(), 1, "max_share is half");
}

#[test]
fn a_server_that_restarts_is_soon_back() {
    let site = Site::new();
    let _origin = site.origin(2);
    let burdock = site.shop(2, "");
    wait_until("web-1 is ejected", || burdock.get("/").status == 200 && !up(&burdock, "web-1"));
    let _started = site.origin(1);
    wait_until("web-1 is back", || up(&burdock, "web-1"));
}

#[test]
fn a_failing_server_is_ejected_and_a_probe_restores_it() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, EJECTS);
    origins[0].respond_with(|_| Reply::status(500));
    eject(&burdock, "web-1", "/");
    let failed = origins[0].received().len();
    assert!(failed >= 3, "{failed}");
    origins[0].respond_with(|_| Reply::status(200));
    wait_until("the server is up", || up(&burdock, "web-1"));
    wait_until("the return is counted", || changes(&burdock, "web-1", "up") == 1.0);
    assert_eq!(changes(&burdock, "web-1", "ejected"), 1.0);
    wait_until("the server gets requests", || burdock.get("/").served_by() == "web-1");
    let message = "shop/web-1 is ejected for 200ms: requests fail, the last with status_5xx";
    wait_until("the ejection is logged", || burdock.stderr().contains(message));
}

#[test]
fn each_failed_probe_doubles_the_ejection_time() {
    let site = Site::new();
    let _other = site.origin(2);
    let burdock = site.shop(2, EJECTS);
    eject(&burdock, "web-1", "/");
    let failures = |burdock: &Burdock| burdock.metrics().sum("burdock_server_failures_total", &[("server", "web-1")]);
    assert_eq!(failures(&burdock), 3.0);
    for message in ["ejected for 200ms", "stays ejected for 400ms", "stays ejected for 800ms", "stays ejected for 1.6s"] {
        wait_until(message, || burdock.stderr().contains(message));
    }
    assert_eq!(burdock.api().get("/upstreams/shop/servers/web-1")["health"], "ejected");
    // An ejected server gets no requests.
    (0..10).for_each(|_| assert_eq!(burdock.get("/").served_by(), "web-2"));
    assert_eq!(failures(&burdock), 3.0);
    let _restored = site.origin(1);
    wait_until("the server is up", || up(&burdock, "web-1"));
}

#[test]
fn an_ejection_and_its_probe_survive_a_reload() {
    let site = Site::new();
    let _other = site.origin(2);
    let burdock = site.shop(2, EJECTS);
    eject(&burdock, "web-1", "/");
    assert!(burdock.reload(&site, &shop(2, &format!("{EJECTS}\nbalance: first"))));
    assert_eq!(burdock.get("/").served_by(), "web-2");
    let _restored = site.origin(1);
    wait_until("the server is up", || up(&burdock, "web-1"));
    assert_eq!(burdock.get("/").served_by(), "web-1");
}

#[test]
fn ejection_probes_use_the_health_check_request() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let check = "health_check: {http: {path: /healthz}, interval: 60s, timeout: 200ms}";
    let burdock = site.shop(2, &format!("{EJECTS}\n{check}"));
    origins[0].fail();
    eject(&burdock, "web-1", "/");
    wait_until("the probe has failed", || burdock.stderr().contains("web-1 stays ejected for 400ms: unexpected status 503"));
    origins[0].respond_with(|_| Reply::status(200));
    wait_until("the server is up", || up(&burdock, "web-1"));
}

#[test]
fn at_most_half_of_the_servers_are_ejected() {
    let site = Site::new();
    let origins = site.origins::<4>();
    let burdock = site.shop(4, "passive_health: {failures: 2, hold: 60s}");
    origins.iter().for_each(|origin| origin.respond_with(|_| Reply::status(503)));
    (0..60).for_each(|_| assert_eq!(burdock.get("/").status, 503));
    let ejected = burdock.metrics().sum("burdock_server_health_changes_total", &[("to", "ejected")]);
    assert_eq!(ejected, 2.0);
}

#[test]
fn read_timeouts_eject_a_server_but_slow_clients_do_not() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock =
        site.shop(2, "timeouts: {read: 100ms}\nbalance: first\npassive_health: {failures: 3, hold: 60s, on: [timeout]}");
    for _ in 0..4 {
        let mut wire = burdock.wire();
        wire.send("POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
        assert_eq!(wire.response().status, 408);
    }
    assert_eq!(changes(&burdock, "web-1", "ejected"), 0.0);
    origins[0].respond_with(|_| Reply::Silence);
    (0..3).for_each(|_| assert_eq!(burdock.get("/").status, 504));
    assert_eq!(changes(&burdock, "web-1", "ejected"), 1.0);
    assert_eq!(burdock.get("/").served_by(), "web-2");
}

#[test]
fn a_closed_idle_connection_is_not_a_failure() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\npassive_health: {failures: 1, hold: 60s}");
    origins[0].respond_with(|request| match request.earlier {
        0 => Reply::status(200),
        _ => Reply::Close,
    });
    let mut client = burdock.client_at("web-1");
    (0..6).for_each(|_| assert_eq!(client.get("/").served_by(), "web-1"));
    assert_eq!(changes(&burdock, "web-1", "ejected"), 0.0);
}

#[test]
fn an_upgraded_stream_that_ends_is_not_a_failure() {
    let site = Site::new();
    let origin = site.origins::<2>();
    let burdock = site.shop(2, "balance: first\ntimeouts: {upgraded: 100ms}\npassive_health: {failures: 1, hold: 60s}");
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for last in [true, false] {
        origin[0].respond_with(move |_| if last { Reply::Last(switch.into()) } else { Reply::Echo(switch.into()) });
        let mut wire = burdock.wire();
        let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
        assert_eq!(wire.ask(&request).status, 101);
        assert!(wire.is_closed());
    }
    assert_eq!(changes(&burdock, "web-1", "ejected"), 0.0);
}

#[test]
fn the_panic_threshold_places_new_sessions_regardless_of_health() {
    let site = Site::new();
    let _origins = site.origins::<4>();
    // Nothing listens on the port that the checks use.
    let down = "sticky: cookie\nhealth_check: {tcp: {}, port: 9050, interval: 200ms, timeout: 200ms}";
    let burdock = site.shop(4, down);
    assert_eq!(burdock.get("/").status, 503);
    drop(burdock);
    let burdock = site.shop(4, &format!("{down}\npanic_threshold: 50%"));
    let served: std::collections::BTreeSet<_> = (0..4).map(|_| burdock.get("/").served_by().to_owned()).collect();
    assert_eq!(served.len(), 4);
    wait_until("all decisions are counted", || {
        burdock.metrics().sum("burdock_decisions_total", &[("reason", "panic")]) == 4.0
    });
}

#[test]
fn slow_start_ramps_up_a_servers_share() {
    const RAMP: Duration = Duration::from_secs(4);
    let site = Site::new();
    let _first = site.origin(1);
    let check = "health_check: {tcp: {}, interval: 50ms, timeout: 50ms}";
    let burdock = site.shop(2, &format!("{check}\nslow_start: 4s"));
    let _second = site.origin(2);
    wait_until("the server is up", || up(&burdock, "web-2"));
    let (start, mut windows) = (Instant::now(), [(0.0, 0.0); 5]);
    while start.elapsed() < RAMP + RAMP / 4 {
        let window = &mut windows[(start.elapsed().as_millis() * 4 / RAMP.as_millis()) as usize];
        window.0 += f64::from(u8::from(burdock.get("/").served_by() == "web-2"));
        window.1 += 1.0;
    }
    let shares = windows.map(|(of_web_2, all)| of_web_2 / all);
    // The weight of web-2 in the middle of each quarter of its slow start; web-1 has weight 1.
    for (share, weight) in shares.into_iter().zip([0.125, 0.375, 0.625, 0.875, 1.0]) {
        let expected: f64 = weight / (1.0 + weight);
        assert!((share - expected).abs() < 0.06, "{shares:?}");
    }
}

#[test]
fn a_shortage_of_descriptors_blames_no_server_and_moves_no_session() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let settings = "sticky: cookie\nconnections: private\nhealth_check: {tcp: {}, interval: 100ms, timeout: 100ms, fall: 1, rise: 1}\n\
                    passive_health: {failures: 1}";
    let burdock = site.shop(2, settings);
    let mut client = burdock.client_at("web-2");
    let mut wires: Vec<Wire> = (0..2).map(|_| burdock.wire()).collect();
    wait_until("the connections are accepted", || burdock.metrics().sum("burdock_connections", &[]) >= 3.0);
    limit_descriptors(burdock.pid(), "4");
    let (name, token) = client.jar.iter().next().map(|(name, value)| (name.clone(), value.clone())).unwrap();
    let request = Request::get("/short").header("Cookie", &format!("{name}={token}"));
    let answers: Vec<u16> = wires.iter_mut().map(|wire| wire.ask(&request).status).collect();
    assert_eq!(answers, [503, 503]);
    burdock.wait_for_log("no file descriptors");
    limit_descriptors(burdock.pid(), "1024");
    assert_eq!(client.get("/after").served_by(), "web-2");
    assert_eq!(burdock.log_line("/after").reason(), "hit");
    assert!(burdock.metrics().sum("burdock_connect_shortages_total", &[("kind", "descriptors")]) >= 2.0);
    assert_eq!(burdock.metrics().sum("burdock_server_failures_total", &[]), 0.0);
    let log = burdock.stderr();
    assert!(!log.contains("is down") && !log.contains("is ejected"), "{log}");
}

/// Sets the soft limit of a running process.
fn limit_descriptors(pid: u32, soft: &str) {
    let set = std::process::Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--nofile={soft}:")]).status();
    assert!(set.unwrap().success(), "prlimit");
}
