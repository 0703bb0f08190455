//! Waiting for a slot at a full server: in order, within the configured time, and without losing a request.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Burdock, Origin, Reply, Request, Site, Wire, burdock, wait_until};

/// `web-1` with a limited number of slots, where `/long` takes until [`BusyShop::release`], and `web-2`.
struct BusyShop {
    origins: [Origin; 2],
    burdock: Burdock,
    release: Option<Sender<()>>,
}

impl BusyShop {
    fn start(site: &Site, max_conns: u32, settings: &str) -> Self {
        let origins = site.origins::<2>();
        let burdock = site.burdock(&shop(&format!("max_conns: {max_conns}"), settings));
        let (release, gate) = channel();
        hold(&origins[0], gate);
        Self { origins, burdock, release: Some(release) }
    }

    /// Takes a slot at `web-1` until [`Self::release`].
    fn occupy(&self) -> Wire {
        let held = self.send("/long");
        wait_until("the slot is taken", || self.paths().iter().any(|path| path == "/long"));
        held
    }

    fn release(&mut self) {
        self.release = None;
    }

    /// Sends a request of a session of `web-1` on a new connection.
    fn send(&self, path: &str) -> Wire {
        let mut wire = self.burdock.wire();
        wire.send(tied(path).bytes());
        wire
    }

    fn wait_for_queue(&self, length: usize) {
        wait_until(&format!("{length} requests are queued"), || self.gauge("burdock_server_queue") == length as f64);
    }

    fn gauge(&self, name: &str) -> f64 {
        self.burdock.metrics().sum(name, &[("server", "web-1")])
    }

    /// The paths that `web-1` was asked for, in order.
    fn paths(&self) -> Vec<String> {
        self.origins[0].received().iter().map(|request| request.path().to_owned()).collect()
    }

    fn wait_until_empty(&self) {
        wait_until("no request is in flight", || self.gauge("burdock_server_in_flight_requests") == 0.0);
        self.wait_for_queue(0);
    }
}

fn shop(first: &str, settings: &str) -> String {
    let servers = format!("[{{id: web-1, address: $IP:9001, {first}}}, {{id: web-2, address: $IP:9002}}]");
    format!("upstreams: {{shop: {{servers: {servers}, sticky: [{{cookie: {{token: plain}}}}], {settings}}}}}")
}

fn hold(origin: &Origin, gate: Receiver<()>) {
    let gate = Mutex::new(gate);
    origin.respond_with(move |request| {
        match request.path() {
            "/long" => drop(gate.lock().unwrap().recv()),
            _ => sleep(Duration::from_millis(10)),
        }
        Reply::status(200)
    });
}

fn tied(path: &str) -> Request {
    Request::get(path).header("Cookie", "BURDOCK_shop=web-1")
}

#[test]
fn queued_requests_are_served_in_order_by_their_server() {
    let site = Site::new();
    let mut busy = BusyShop::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let mut held = busy.occupy();
    let paths: Vec<String> = (0..20).map(|n| format!("/{n}")).collect();
    let mut wires = Vec::new();
    for path in &paths {
        wires.push(busy.send(path));
        busy.wait_for_queue(wires.len());
    }
    assert_eq!(busy.gauge("burdock_server_in_flight_requests"), 1.0);
    busy.release();
    assert_eq!(held.response().served_by(), "web-1");
    for wire in &mut wires {
        assert_eq!(wire.response().served_by(), "web-1");
    }
    assert_eq!(busy.paths()[1..], paths);
    assert!(busy.origins[1].received().is_empty());
    for path in &paths {
        let line = busy.burdock.log_line(path);
        assert_eq!((line.reason().as_str(), line.text("settled").as_str()), ("hit", "kept"));
        assert!(line.number("wait_ms") > 0.0);
    }
    assert!(busy.burdock.log_line("/long").text("wait_ms").is_empty(), "only requests that waited have it");
    assert_eq!(busy.burdock.metrics().sum("burdock_queue_wait_seconds_count", &[("upstream", "shop")]), 20.0);
    busy.wait_until_empty();
}

#[test]
fn a_queue_timeout_applies_the_failover_action() {
    for (then, status) in [("temporary", 200), ("permanent", 200), ("{refuse: 429}", 429)] {
        let site = Site::new();
        let mut busy = BusyShop::start(&site, 1, &format!("failover: {{full: {{wait: 300ms, then: {then}}}}}"));
        let _held = busy.occupy();
        let start = Instant::now();
        let answer = busy.burdock.ask(&tied("/late"));
        let waited = start.elapsed();
        assert!((300..2_000).contains(&waited.as_millis()), "{waited:?}");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
        assert_eq!(answer.set_cookies().len(), usize::from(then == "permanent"));
        let line = busy.burdock.log_line("/late");
        assert_eq!(line.reason(), if status == 429 { "refused" } else { "full" });
        assert!((300.0..2_000.0).contains(&line.number("wait_ms")), "{line:?}");
        assert_eq!(busy.burdock.metrics().sum("burdock_queue_timeouts_total", &[("upstream", "shop")]), 1.0);
        busy.release();
        busy.wait_until_empty();
    }
}

#[test]
fn by_default_a_session_waits_two_seconds_then_goes_elsewhere() {
    let site = Site::new();
    let busy = BusyShop::start(&site, 1, "balance: first");
    let _held = busy.occupy();
    let start = Instant::now();
    let lent = busy.burdock.ask(&tied("/lent"));
    assert!((2_000..6_000).contains(&start.elapsed().as_millis()));
    assert_eq!((lent.served_by(), lent.set_cookies().len()), ("web-2", 0));
}

#[test]
fn a_full_queue_fails_over_at_once() {
    let site = Site::new();
    let mut busy = BusyShop::start(&site, 1, "queue: {length: 2}, failover: {full: {wait: 20s, then: temporary}}");
    let _held = busy.occupy();
    let mut waiting = [busy.send("/first"), busy.send("/second")];
    busy.wait_for_queue(2);
    assert_eq!(busy.burdock.ask(&tied("/third")).served_by(), "web-2");
    assert!(busy.burdock.log_line("/third").text("wait_ms").is_empty());
    busy.release();
    for wire in &mut waiting {
        assert_eq!(wire.response().served_by(), "web-1");
    }
}

#[test]
fn a_client_that_leaves_frees_its_queue_slot() {
    let site = Site::new();
    let mut busy = BusyShop::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let _held = busy.occupy();
    let leaving = busy.send("/leaving");
    busy.wait_for_queue(1);
    // Data sent beyond the request does not hide the disconnect.
    let mut uploading = busy.burdock.wire();
    let upload = Request::new("POST", "/talking").header("Cookie", "BURDOCK_shop=web-1").header("Content-Length", "99");
    uploading.send(upload.bytes());
    uploading.send("half of it");
    busy.wait_for_queue(2);
    let mut staying = busy.send("/staying");
    busy.wait_for_queue(3);
    drop(leaving);
    busy.wait_for_queue(2);
    drop(uploading);
    busy.wait_for_queue(1);
    for path in ["/leaving", "/talking"] {
        let line = busy.burdock.log_line(path);
        assert_eq!((line.number("status"), line.reason().as_str(), line.text("server").as_str()), (0.0, "full", ""));
        assert!(line.number("wait_ms") > 0.0);
    }
    busy.release();
    assert_eq!(staying.response().served_by(), "web-1");
    assert_eq!(busy.paths(), ["/long", "/staying"]);
    busy.wait_until_empty();
}

#[test]
fn a_queued_client_that_sends_more_data_keeps_its_slot() {
    let site = Site::new();
    let mut busy = BusyShop::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let _held = busy.occupy();
    let mut wire = busy.send("/one");
    busy.wait_for_queue(1);
    wire.send(tied("/two").bytes());
    let body = Request::new("POST", "/three").header("Cookie", "BURDOCK_shop=web-1").body(vec![b'x'; 100_000]);
    let mut uploading = busy.burdock.wire();
    uploading.send(body.bytes());
    busy.wait_for_queue(2);
    busy.release();
    for _ in 0..2 {
        assert_eq!(wire.response().served_by(), "web-1");
    }
    assert_eq!(uploading.response().served_by(), "web-1");
    let received = busy.origins[0].received();
    let three = received.iter().find(|request| request.path() == "/three").unwrap();
    assert_eq!(three.body.len(), 100_000);
}

#[test]
fn tied_requests_leave_the_queue_before_new_sessions() {
    let site = Site::new();
    let settings = "queue: {new_sessions: 20s}, failover: {full: {wait: 20s, then: temporary}}";
    let origin = site.origin(1);
    let servers = "[{id: web-1, address: $IP:9001, max_conns: 1}]";
    let burdock = site.burdock(&format!(
        "upstreams: {{shop: {{servers: {servers}, sticky: [{{cookie: {{token: plain}}}}], {settings}}}}}"
    ));
    let (release, gate) = channel();
    hold(&origin, gate);
    let mut held = burdock.wire();
    held.send(tied("/long").bytes());
    wait_until("the slot is taken", || origin.received().len() == 1);
    let queue = |length: f64| {
        wait_until("the queue has that length", || burdock.metrics().sum("burdock_server_queue", &[]) == length)
    };
    let mut new = burdock.wire();
    new.send(Request::get("/new").bytes());
    queue(1.0);
    let mut old = burdock.wire();
    old.send(tied("/old").bytes());
    queue(2.0);
    drop(release);
    assert_eq!(old.response().status, 200);
    let first = new.response();
    assert_eq!((first.status, first.set_cookies().len()), (200, 1));
    let paths: Vec<String> = origin.received().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths, ["/long", "/old", "/new"]);
    assert_eq!(burdock.log_line("/new").reason(), "new");
    queue(0.0);
}

#[test]
fn a_server_that_goes_down_releases_its_queue() {
    let site = Site::new();
    let checks = "health_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms, rise: 1, fall: 1}";
    let busy = BusyShop::start(&site, 1, &format!("{checks}, failover: {{full: {{wait: 20s, then: temporary}}}}"));
    let _held = busy.occupy();
    let mut waiting = busy.send("/waiting");
    busy.wait_for_queue(1);
    let start = Instant::now();
    busy.origins[0].fail();
    assert_eq!(waiting.response().served_by(), "web-2");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(busy.burdock.log_line("/waiting").reason(), "down");
}

#[test]
fn a_reload_applies_to_queued_requests() {
    const LONG_WAIT: &str = "failover: {full: {wait: 20s, then: temporary}}";
    for (first, server, reason) in [("max_conns: 2", "web-1", "hit"), ("state: maint", "web-2", "maint")] {
        let site = Site::new();
        let busy = BusyShop::start(&site, 1, LONG_WAIT);
        let _held = busy.occupy();
        let mut waiting = busy.send("/waiting");
        busy.wait_for_queue(1);
        let start = Instant::now();
        assert!(busy.burdock.reload(&site, &shop(first, LONG_WAIT)));
        assert_eq!(waiting.response().served_by(), server);
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(busy.burdock.log_line("/waiting").reason(), reason);
    }
}

#[test]
fn queued_requests_follow_a_server_to_its_new_address() {
    const LONG_WAIT: &str = "failover: {full: {wait: 20s, then: temporary}}";
    let site = Site::new();
    let mut busy = BusyShop::start(&site, 1, LONG_WAIT);
    let moved = site.origin(3);
    let _held = busy.occupy();
    let mut waiting = busy.send("/waiting");
    busy.wait_for_queue(1);
    assert!(busy.burdock.reload(&site, &shop("max_conns: 1", LONG_WAIT).replace("$IP:9001", "$IP:9003")));
    busy.release();
    assert_eq!(waiting.response().served_by(), moved.name);
    let line = busy.burdock.log_line("/waiting");
    assert_eq!((line.text("server").as_str(), line.reason().as_str()), ("web-1", "hit"));
    busy.wait_until_empty();
}

#[test]
fn explain_reports_the_queue_wait_without_waiting() {
    let site = Site::new();
    let busy = BusyShop::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let request = json!({"headers": [{"name": "Cookie", "value": "BURDOCK_shop=web-1"}]});
    let explain = || busy.burdock.api().send("POST", "/explain", &request).json();
    assert_eq!(explain().get("wait"), None, "a slot is free");
    let _held = busy.occupy();
    let explanation = explain();
    let fields = ["server", "reason", "wait", "status"].map(|field| &explanation[field]);
    assert_eq!(fields, [&json!("web-1"), &json!("hit"), &json!(20_000), &Value::Null]);
    busy.wait_for_queue(0);
    let socket = site.socket();
    let args = ["ctl", "--socket", socket.to_str().unwrap(), "explain", "-H", "Cookie: BURDOCK_shop=web-1", "http://shop/"];
    let text = burdock(args).ok().stdout;
    assert!(text.contains("\nwait      up to 20000 ms for a slot\n"), "{text}");
}

/// Removes a server; returns whether that succeeded.
type Removal<'a> = &'a dyn Fn(&Burdock, &Site) -> bool;

#[test]
fn a_removed_server_releases_its_queue() {
    const LONG_WAIT: &str = "failover: {full: {wait: 20s, then: temporary}}, removed_servers: forget";
    let without = format!(
        "upstreams: {{shop: {{servers: [{{id: web-2, address: $IP:9002}}], sticky: [{{cookie: {{token: plain}}}}], {LONG_WAIT}}}}}"
    );
    let renamed = shop("max_conns: 1", LONG_WAIT).replace("{shop:", "{store:");
    let reload = |configuration: String| move |burdock: &Burdock, site: &Site| burdock.reload(site, &configuration);
    let remove = |burdock: &Burdock, _: &Site| {
        let path = "/api/v1/upstreams/shop/servers/web-1?now=true";
        burdock.api().ask(Request::new("DELETE", path)).status == 200
    };
    let removals: [Removal<'_>; 3] = [&reload(without), &reload(renamed), &remove];
    for remove in removals {
        let site = Site::new();
        let busy = BusyShop::start(&site, 1, LONG_WAIT);
        let _held = busy.occupy();
        let mut waiting = busy.send("/waiting");
        busy.wait_for_queue(1);
        let start = Instant::now();
        assert!(remove(&busy.burdock, &site));
        assert_eq!(waiting.response().served_by(), "web-2");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(busy.burdock.log_line("/waiting").reason(), "unknown_server");
    }
}

#[test]
fn disconnecting_clients_leak_no_slots() {
    let site = Site::new();
    let busy = BusyShop::start(&site, 3, "failover: {full: {wait: 50ms, then: {refuse: 503}}}, queue: {length: 8}");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..24)
            .map(|nth| {
                let busy = &busy;
                scope.spawn(move || {
                    let mut statuses = Vec::new();
                    for round in 0..25 {
                        let mut wire = busy.send("/");
                        if (nth + round) % 3 == 0 {
                            sleep(Duration::from_millis(nth % 7));
                            continue;
                        }
                        statuses.push(wire.response().status);
                    }
                    statuses
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)));
    assert!(statuses.contains(&200) && statuses.contains(&503));
    busy.wait_until_empty();
    assert_eq!(busy.burdock.ask(&tied("/after")).served_by(), "web-1");
}
