//! Shutdown on SIGTERM: it is announced, finishes the requests in flight, and takes no longer than needed.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::harness::{Burdock, Origin, Reply, Request, Site, Wire, wait_until};

fn shop(site: &Site, shutdown: &str) -> Burdock {
    let process = format!("process: {{threads: 2, state_dir: $DIR/state, runtime_dir: $DIR/run, shutdown: {shutdown}}}");
    site.burdock(&format!("{process}\n{}", crate::harness::shop(1, "sticky: cookie")))
}

/// `/long` is answered once the sender sends or is dropped.
fn gated(origin: &Origin) -> mpsc::Sender<()> {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    origin.respond_with(move |request| {
        if request.path() == "/long" {
            let _ = gate.lock().unwrap().recv();
        }
        Reply::status(200)
    });
    release
}

fn start_long_request(burdock: &Burdock, origin: &Origin) -> Wire {
    let mut wire = burdock.wire();
    wire.send(Request::get("/long").bytes());
    wait_until("the long request reaches the server", || !origin.received().is_empty());
    wire
}

#[test]
fn a_lame_duck_process_is_not_ready_but_keeps_serving() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = shop(&site, "{lame_duck: 60s, grace: 60s}");
    let mut keepalive = burdock.wire();
    assert_ne!(keepalive.ask(&Request::get("/")).header("connection"), Some("close"));
    burdock.signal("TERM");
    wait_until("the process is not ready", || burdock.readiness_status() == Some(503));
    let newcomer = burdock.get("/");
    assert_eq!((newcomer.status, newcomer.header("connection")), (200, Some("close")));
    assert_eq!(keepalive.ask(&Request::get("/")).header("connection"), Some("close"));
    assert!(keepalive.is_closed());
}

#[test]
fn shutdown_finishes_requests_in_flight() {
    let site = Site::new();
    let origin = site.origin(1);
    let mut burdock = shop(&site, "{lame_duck: 0s, grace: 60s}");
    let release = gated(&origin);
    let mut long = start_long_request(&burdock, &origin);
    burdock.signal("TERM");
    wait_until("new connections are refused", || Wire::try_open(burdock.listen).is_err());
    assert!(burdock.exit_status().is_none());
    drop(release);
    assert_eq!(long.response().status, 200);
    assert_eq!(burdock.wait_for_exit_and_output().code(), Some(0));
    assert_eq!(burdock.log_line("/long").number("status"), 200.0, "the log line is written");
}

#[test]
fn shutdown_ends_early_when_nothing_is_in_flight() {
    let site = Site::new();
    let _origin = site.origin(1);
    let mut burdock = shop(&site, "{lame_duck: 0s, grace: 300s}");
    let (mut used, _fresh) = (burdock.wire(), burdock.wire());
    assert_eq!(used.ask(&Request::get("/")).status, 200);
    burdock.signal("TERM");
    assert_eq!(burdock.wait_for_exit_and_output().code(), Some(0));
}

#[test]
fn shutdown_ends_when_the_grace_period_expires() {
    let site = Site::new();
    let origin = site.origin(1);
    let mut burdock = shop(&site, "{lame_duck: 0s, grace: 1s}");
    let _release = gated(&origin);
    let _long = start_long_request(&burdock, &origin);
    let asked = Instant::now();
    burdock.signal("TERM");
    burdock.wait_for_exit_and_output();
    assert!(asked.elapsed() >= Duration::from_secs(1), "not before: {:?}", asked.elapsed());
}

#[test]
fn metrics_stay_available_during_shutdown() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = shop(&site, "{lame_duck: 60s, grace: 60s}");
    let _release = gated(&origin);
    let _long = start_long_request(&burdock, &origin);
    burdock.signal("TERM");
    wait_until("the process is not ready", || burdock.readiness_status() == Some(503));
    assert_eq!(burdock.metrics().sum("burdock_server_in_flight_requests", &[]), 1.0);
}
