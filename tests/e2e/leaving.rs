//! How the process leaves on SIGTERM: announced, finishing what it began, and no later than needed.

use std::sync::{Mutex, mpsc};

use crate::harness::{Burdock, Origin, Reply, Request, Site, Wire, wait_until};

fn shop(site: &Site, shutdown: &str) -> Burdock {
    let process = format!("process: {{threads: 2, state_dir: $DIR/state, runtime_dir: $DIR/run, shutdown: {shutdown}}}");
    site.burdock(&format!("{process}\n{}", crate::harness::shop(1, "sticky: cookie")))
}

/// `/long` is answered once the sender is dropped or sends.
fn gated(origin: &Origin) -> mpsc::Sender<()> {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    origin.behave(move |request| {
        if request.path() == "/long" {
            let _ = gate.lock().unwrap().recv();
        }
        Reply::status(200)
    });
    release
}

fn begin_long(burdock: &Burdock, origin: &Origin) -> Wire {
    let mut wire = burdock.wire();
    wire.send(Request::get("/long").bytes());
    wait_until("the long request is there", || !origin.received().is_empty());
    wire
}

#[test]
fn it_says_that_it_leaves_and_serves_on_in_its_lame_duck_time() {
    let site = Site::take();
    let _origin = site.origin(1);
    let burdock = shop(&site, "{lame_duck: 60s, grace: 60s}");
    let mut kept = burdock.wire();
    assert_ne!(kept.ask(&Request::get("/")).header("connection"), Some("close"));
    burdock.signal("TERM");
    wait_until("it says so", || burdock.readiness() == Some(503));
    let newcomer = burdock.get("/");
    assert_eq!((newcomer.status, newcomer.header("connection")), (200, Some("close")));
    assert_eq!(kept.ask(&Request::get("/")).header("connection"), Some("close"));
    assert!(kept.is_closed());
}

#[test]
fn a_request_in_flight_is_finished() {
    let site = Site::take();
    let origin = site.origin(1);
    let mut burdock = shop(&site, "{lame_duck: 0s, grace: 60s}");
    let release = gated(&origin);
    let mut long = begin_long(&burdock, &origin);
    burdock.signal("TERM");
    wait_until("nobody else is let in", || Wire::try_open(burdock.listen).is_err());
    assert!(burdock.has_ended().is_none());
    drop(release);
    assert_eq!(long.response().status, 200);
    assert_eq!(burdock.wait().code(), Some(0));
    assert_eq!(burdock.line("/long").number("status"), 200.0, "its line is written");
}

#[test]
fn with_nothing_to_finish_it_ends_long_before_its_grace_is_over() {
    let site = Site::take();
    let _origin = site.origin(1);
    let mut burdock = shop(&site, "{lame_duck: 0s, grace: 300s}");
    let (mut used, _fresh) = (burdock.wire(), burdock.wire());
    assert_eq!(used.ask(&Request::get("/")).status, 200);
    burdock.signal("TERM");
    assert_eq!(burdock.wait().code(), Some(0));
}

#[test]
fn when_its_grace_is_over_it_ends_whatever_goes_on() {
    let site = Site::take();
    let origin = site.origin(1);
    let mut burdock = shop(&site, "{lame_duck: 0s, grace: 1s}");
    let _release = gated(&origin);
    let _long = begin_long(&burdock, &origin);
    burdock.signal("TERM");
    burdock.wait();
}

#[test]
fn the_metrics_stay_reachable_while_it_leaves() {
    let site = Site::take();
    let origin = site.origin(1);
    let burdock = shop(&site, "{lame_duck: 60s, grace: 60s}");
    let _release = gated(&origin);
    let _long = begin_long(&burdock, &origin);
    burdock.signal("TERM");
    wait_until("it says so", || burdock.readiness() == Some(503));
    assert_eq!(burdock.metrics().sum("burdock_server_in_flight_requests", &[]), 1.0);
}
