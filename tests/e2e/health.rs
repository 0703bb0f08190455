//! Active health checks: what they send, how they judge the response, and what waits for them.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::harness::{Burdock, Reply, Site, shop, wait_until};

fn up(burdock: &Burdock, server: &str) -> bool {
    burdock.metrics().sum("burdock_server_up", &[("server", server)]) == 1.0
}

#[test]
fn a_check_sends_the_configured_request() {
    let site = Site::new();
    let origin = site.origin(1);
    let check =
        "{http: {path: /healthz, host: shop.example.com, headers: {X-Check: burdock}}, interval: 200ms, timeout: 200ms}";
    let _burdock = site.shop(1, &format!("health_check: {check}"));
    let checks = origin.checks();
    assert_eq!((checks[0].method(), checks[0].header("host")), ("GET", Some("shop.example.com")));
    assert_eq!(checks[0].header("x-check"), Some("burdock"));
}

#[test]
fn an_unexpected_check_status_is_a_failure() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let check = |expect: &str| {
        format!("health_check: {{http: {{path: /healthz, expect: {expect}}}, interval: 200ms, timeout: 200ms}}")
    };
    let burdock = site.shop(2, &check("[204, 300-399]"));
    assert!(!up(&burdock, "web-1") && !up(&burdock, "web-2"));
    assert_eq!(burdock.get("/").status, 503);
    drop(burdock);
    let burdock = site.shop(2, &check("[204, 200]"));
    assert_eq!(burdock.get("/").status, 200);
}

#[test]
fn a_server_changes_health_only_after_fall_or_rise_checks() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "health_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms, fall: 3, rise: 2}");
    let before = origins[0].checks().len();
    origins[0].fail();
    wait_until("it is down", || !up(&burdock, "web-1"));
    assert!(origins[0].checks().len() >= before + 3);
    let before = origins[0].checks().len();
    origins[0].respond_with(|_| Reply::status(200));
    wait_until("it is up", || up(&burdock, "web-1"));
    assert!(origins[0].checks().len() >= before + 2);
    assert!(up(&burdock, "web-2"));
}

#[test]
fn a_server_in_maintenance_is_not_checked() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let servers = "[{id: web-1, address: $IP:9001, state: maint}, {id: web-2, address: $IP:9002}]";
    let check = "{http: {path: /healthz}, interval: 200ms, timeout: 200ms}";
    let _burdock = site.burdock(&format!("upstreams: {{shop: {{servers: {servers}, health_check: {check}}}}}"));
    wait_until("some checks", || origins[1].checks().len() >= 3);
    assert!(origins[0].checks().is_empty());
}

#[test]
fn a_check_can_use_another_port() {
    let site = Site::new();
    let (origin, check_port) = (site.origin(1), site.origin(50));
    let _burdock = site.shop(1, "health_check: {http: {path: /healthz}, port: 9050, interval: 200ms, timeout: 200ms}");
    assert!(origin.checks().is_empty() && !check_port.checks().is_empty());
}

#[test]
fn readiness_waits_for_the_first_check_of_every_server() {
    let site = Site::new();
    let _silent = TcpListener::bind(site.server(1)).unwrap();
    let _origin = site.origin(2);
    let check = "sticky: cookie\nhealth_check: {http: {path: /healthz}, interval: 2s, timeout: 1s}";
    let burdock = Burdock::launch(&site, &shop(2, check), &[]);
    wait_until("it reports that it is not ready", || burdock.readiness_status() == Some(503));
    wait_until("it is ready", || burdock.readiness_status() == Some(200));
    (0..4).for_each(|_| assert_eq!(burdock.get("/").served_by(), "web-2"));
}

#[test]
fn a_check_response_that_trickles_fails_at_the_timeout() {
    let site = Site::new();
    let _origin = site.origin(2);
    let trickling = TcpListener::bind(site.server(1)).unwrap();
    std::thread::spawn(move || {
        for mut stream in trickling.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Drip: ");
                // A byte every tenth of the timeout: no single read takes too long.
                while stream.write_all(b"x").is_ok() {
                    std::thread::sleep(std::time::Duration::from_millis(30));
                }
            });
        }
    });
    let burdock = site.shop(2, "health_check: {http: {path: /healthz}, interval: 300ms, timeout: 300ms}");
    assert!(!up(&burdock, "web-1") && up(&burdock, "web-2"));
}

#[test]
fn a_reload_starts_and_stops_checks_without_moving_sessions() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let checked = "sticky: cookie\nhealth_check: {http: {path: /healthz}, interval: 100ms, timeout: 100ms}";
    let burdock = site.shop(2, "sticky: cookie");
    let mut clients = [burdock.client_at("web-1"), burdock.client_at("web-2")];
    assert!(burdock.reload(&site, &shop(2, checked)));
    let served = clients.each_mut().map(|client| client.get("/").served_by().to_owned());
    assert_eq!(served, ["web-1", "web-2"]);
    wait_until("both are checked", || origins.iter().all(|origin| origin.checks().len() >= 2));
    origins[0].fail();
    wait_until("it is down", || !up(&burdock, "web-1"));
    assert!(burdock.reload(&site, &shop(2, "sticky: cookie")));
    assert!(up(&burdock, "web-1"), "a server without checks counts as up");
}

#[test]
fn interim_responses_precede_the_answer_to_a_check() {
    let site = Site::new();
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </app.css>; rel=preload\r\n\r\n";
    let origin = site.origin(1);
    origin.respond_with(move |_| {
        Reply::raw(&format!("{hints}{hints}HTTP/1.1 200 OK\r\nX-Served-By: web-1\r\nContent-Length: 2\r\n\r\nok"))
    });
    let burdock = site.shop(1, "health_check: {http: {path: /alive}, interval: 200ms, timeout: 200ms}");
    assert!(up(&burdock, "web-1"), "{}", burdock.stderr());
    assert_eq!(burdock.get("/").status, 200);
}

#[test]
fn a_server_whose_check_says_drain_keeps_its_sessions_and_gets_no_new_ones() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let check = "{http: {path: /alive, drain: [404, 503]}, interval: 200ms, timeout: 200ms}";
    let burdock = site.shop(2, &format!("sticky: cookie\nhealth_check: {check}"));
    let mut tied = burdock.client_at("web-1");
    origins[0].respond_with(|request| Reply::status(if request.path() == "/alive" { 404 } else { 200 }));
    burdock.wait_for_log("shop/web-1 gets no new sessions");
    assert!((0..6).all(|_| burdock.get("/new").served_by() == "web-2"));
    assert_eq!(tied.get("/tied").served_by(), "web-1");
    assert!(up(&burdock, "web-1"));
    assert_eq!(burdock.api().get("/upstreams/shop/servers/web-1")["health"], "draining");
    origins[0].respond_with(|_| Reply::status(200));
    wait_until("it gets new sessions", || burdock.get("/new").served_by() == "web-1");
}
