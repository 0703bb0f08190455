//! Waiting for a place at a full server: in order, no longer than told, and nobody is forgotten.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Burdock, Origin, Reply, Request, Site, Wire, burdock, wait_until};

/// `web-1` with so many places, where `/long` takes until it is let go, and `web-2`.
struct Full {
    origins: [Origin; 2],
    burdock: Burdock,
    release: Option<Sender<()>>,
}

impl Full {
    fn start(site: &Site, max_conns: u32, settings: &str) -> Self {
        let origins = site.origins::<2>();
        let burdock = site.burdock(&shop(&format!("max_conns: {max_conns}"), settings));
        let (release, gate) = channel();
        hold(&origins[0], gate);
        Self { origins, burdock, release: Some(release) }
    }

    /// Takes a place at `web-1` until [`Self::release`].
    fn occupy(&self) -> Wire {
        let held = self.sent("/long");
        wait_until("the place is taken", || self.paths().iter().any(|path| path == "/long"));
        held
    }

    fn release(&mut self) {
        self.release = None;
    }

    /// A connection on which a request of a session of `web-1` has been sent.
    fn sent(&self, path: &str) -> Wire {
        let mut wire = self.burdock.wire();
        wire.send(tied(path).bytes());
        wire
    }

    fn wait_for_queue(&self, length: usize) {
        wait_until("the queue is as long as that", || self.gauge("burdock_server_queue") == length as f64);
    }

    fn gauge(&self, name: &str) -> f64 {
        self.burdock.metrics().sum(name, &[("server", "web-1")])
    }

    /// What `web-1` was asked for, in order.
    fn paths(&self) -> Vec<String> {
        self.origins[0].received().iter().map(|request| request.path().to_owned()).collect()
    }

    fn nothing_is_left(&self) {
        wait_until("nobody is in flight", || self.gauge("burdock_server_in_flight_requests") == 0.0);
        self.wait_for_queue(0);
    }
}

fn shop(first: &str, settings: &str) -> String {
    let servers = format!("[{{id: web-1, address: $IP:9001, {first}}}, {{id: web-2, address: $IP:9002}}]");
    format!("upstreams: {{shop: {{servers: {servers}, sticky: [{{cookie: {{token: plain}}}}], {settings}}}}}")
}

fn hold(origin: &Origin, gate: Receiver<()>) {
    let gate = Mutex::new(gate);
    origin.behave(move |request| {
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
fn twenty_clients_of_a_server_with_one_place_are_served_there_one_after_the_other() {
    let site = Site::take();
    let mut full = Full::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let mut held = full.occupy();
    let paths: Vec<String> = (0..20).map(|n| format!("/{n}")).collect();
    let mut wires = Vec::new();
    for path in &paths {
        wires.push(full.sent(path));
        full.wait_for_queue(wires.len());
    }
    assert_eq!(full.gauge("burdock_server_in_flight_requests"), 1.0);
    full.release();
    assert_eq!(held.response().served_by(), "web-1");
    for wire in &mut wires {
        assert_eq!(wire.response().served_by(), "web-1");
    }
    assert_eq!(full.paths()[1..], paths);
    assert!(full.origins[1].received().is_empty());
    for path in &paths {
        let line = full.burdock.line(path);
        assert_eq!((line.reason().as_str(), line.text("settled").as_str()), ("hit", "kept"));
        assert!(line.number("wait_ms") > 0.0);
    }
    assert!(full.burdock.line("/long").text("wait_ms").is_empty(), "only where there was a wait");
    assert_eq!(full.burdock.metrics().sum("burdock_queue_wait_seconds_count", &[("upstream", "shop")]), 20.0);
    full.nothing_is_left();
}

#[test]
fn a_wait_ends_in_time_as_failover_says() {
    for (then, status) in [("temporary", 200), ("permanent", 200), ("{refuse: 429}", 429)] {
        let site = Site::take();
        let mut full = Full::start(&site, 1, &format!("failover: {{full: {{wait: 300ms, then: {then}}}}}"));
        let _held = full.occupy();
        let begun = Instant::now();
        let answer = full.burdock.ask(&tied("/late"));
        let waited = begun.elapsed();
        assert!((300..2_000).contains(&waited.as_millis()), "{waited:?}");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
        assert_eq!(answer.set_cookies().len(), usize::from(then == "permanent"));
        let line = full.burdock.line("/late");
        assert_eq!(line.reason(), if status == 429 { "refused" } else { "full" });
        assert!((300.0..2_000.0).contains(&line.number("wait_ms")), "{line:?}");
        assert_eq!(full.burdock.metrics().sum("burdock_queue_timeouts_total", &[("upstream", "shop")]), 1.0);
        full.release();
        full.nothing_is_left();
    }
}

#[test]
fn by_default_a_session_waits_two_seconds_and_is_lent_out() {
    let site = Site::take();
    let full = Full::start(&site, 1, "balance: first");
    let _held = full.occupy();
    let begun = Instant::now();
    let lent = full.burdock.ask(&tied("/lent"));
    assert!((2_000..6_000).contains(&begun.elapsed().as_millis()));
    assert_eq!((lent.served_by(), lent.set_cookies().len()), ("web-2", 0));
}

#[test]
fn a_queue_that_is_full_keeps_nobody_waiting() {
    let site = Site::take();
    let mut full = Full::start(&site, 1, "queue: {length: 2}, failover: {full: {wait: 20s, then: temporary}}");
    let _held = full.occupy();
    let mut waiting = [full.sent("/first"), full.sent("/second")];
    full.wait_for_queue(2);
    assert_eq!(full.burdock.ask(&tied("/third")).served_by(), "web-2");
    assert!(full.burdock.line("/third").text("wait_ms").is_empty());
    full.release();
    for wire in &mut waiting {
        assert_eq!(wire.response().served_by(), "web-1");
    }
}

#[test]
fn a_client_that_leaves_frees_its_place_in_the_queue_at_once() {
    let site = Site::take();
    let mut full = Full::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let _held = full.occupy();
    let leaving = full.sent("/leaving");
    full.wait_for_queue(1);
    // What it has sent beyond the request does not hide that it is gone.
    let mut talking = full.burdock.wire();
    let upload = Request::new("POST", "/talking").header("Cookie", "BURDOCK_shop=web-1").header("Content-Length", "99");
    talking.send(upload.bytes());
    talking.send("half of it");
    full.wait_for_queue(2);
    let mut staying = full.sent("/staying");
    full.wait_for_queue(3);
    drop(leaving);
    full.wait_for_queue(2);
    drop(talking);
    full.wait_for_queue(1);
    for path in ["/leaving", "/talking"] {
        let line = full.burdock.line(path);
        assert_eq!((line.number("status"), line.reason().as_str(), line.text("server").as_str()), (0.0, "full", ""));
        assert!(line.number("wait_ms") > 0.0);
    }
    full.release();
    assert_eq!(staying.response().served_by(), "web-1");
    assert_eq!(full.paths(), ["/long", "/staying"]);
    full.nothing_is_left();
}

#[test]
fn a_client_that_sends_its_next_request_meanwhile_has_not_left() {
    let site = Site::take();
    let mut full = Full::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let _held = full.occupy();
    let mut wire = full.sent("/one");
    full.wait_for_queue(1);
    wire.send(tied("/two").bytes());
    let body = Request::new("POST", "/three").header("Cookie", "BURDOCK_shop=web-1").body(vec![b'x'; 100_000]);
    let mut uploading = full.burdock.wire();
    uploading.send(body.bytes());
    full.wait_for_queue(2);
    full.release();
    for _ in 0..2 {
        assert_eq!(wire.response().served_by(), "web-1");
    }
    assert_eq!(uploading.response().served_by(), "web-1");
    let received = full.origins[0].received();
    let three = received.iter().find(|request| request.path() == "/three").unwrap();
    assert_eq!(three.body.len(), 100_000);
}

#[test]
fn new_sessions_wait_where_they_may_and_those_who_are_tied_go_before_them() {
    let site = Site::take();
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
    wait_until("the place is taken", || origin.received().len() == 1);
    let queue = |length: f64| wait_until("it waits", || burdock.metrics().sum("burdock_server_queue", &[]) == length);
    let mut new = burdock.wire();
    new.send(Request::get("/new").bytes());
    queue(1.0);
    let mut old = burdock.wire();
    old.send(tied("/old").bytes());
    queue(2.0);
    drop(release);
    assert_eq!(old.response().status, 200);
    let begun = new.response();
    assert_eq!((begun.status, begun.set_cookies().len()), (200, 1));
    let paths: Vec<String> = origin.received().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(paths, ["/long", "/old", "/new"]);
    assert_eq!(burdock.line("/new").reason(), "new");
    queue(0.0);
}

#[test]
fn who_waits_for_a_server_that_goes_down_does_not_wait_on() {
    let site = Site::take();
    let checks = "health_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms, rise: 1, fall: 1}";
    let full = Full::start(&site, 1, &format!("{checks}, failover: {{full: {{wait: 20s, then: temporary}}}}"));
    let _held = full.occupy();
    let mut waiting = full.sent("/waiting");
    full.wait_for_queue(1);
    let begun = Instant::now();
    full.origins[0].ill();
    assert_eq!(waiting.response().served_by(), "web-2");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(full.burdock.line("/waiting").reason(), "down");
}

#[test]
fn a_reload_holds_for_those_who_wait_already() {
    const PATIENT: &str = "failover: {full: {wait: 20s, then: temporary}}";
    for (first, server, reason) in [("max_conns: 2", "web-1", "hit"), ("state: maint", "web-2", "maint")] {
        let site = Site::take();
        let full = Full::start(&site, 1, PATIENT);
        let _held = full.occupy();
        let mut waiting = full.sent("/waiting");
        full.wait_for_queue(1);
        let begun = Instant::now();
        assert!(full.burdock.reload(&site, &shop(first, PATIENT)));
        assert_eq!(waiting.response().served_by(), server);
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(full.burdock.line("/waiting").reason(), reason);
    }
}

#[test]
fn who_waits_for_a_server_that_moves_gets_its_place_where_that_is_now() {
    const PATIENT: &str = "failover: {full: {wait: 20s, then: temporary}}";
    let site = Site::take();
    let mut full = Full::start(&site, 1, PATIENT);
    let moved = site.origin(3);
    let _held = full.occupy();
    let mut waiting = full.sent("/waiting");
    full.wait_for_queue(1);
    assert!(full.burdock.reload(&site, &shop("max_conns: 1", PATIENT).replace("$IP:9001", "$IP:9003")));
    full.release();
    assert_eq!(waiting.response().served_by(), moved.name);
    let line = full.burdock.line("/waiting");
    assert_eq!((line.text("server").as_str(), line.reason().as_str()), ("web-1", "hit"));
    full.nothing_is_left();
}

#[test]
fn an_explanation_says_for_how_long_a_request_would_wait_and_waits_for_nothing() {
    let site = Site::take();
    let full = Full::start(&site, 1, "failover: {full: {wait: 20s, then: temporary}}");
    let asked = json!({"headers": [{"name": "Cookie", "value": "BURDOCK_shop=web-1"}]});
    let explained = || full.burdock.api().send("POST", "/explain", &asked).json();
    assert_eq!(explained().get("wait"), None, "there is a place");
    let _held = full.occupy();
    let told = explained();
    let said = ["server", "reason", "wait", "status"].map(|field| &told[field]);
    assert_eq!(said, [&json!("web-1"), &json!("hit"), &json!(20_000), &Value::Null]);
    full.wait_for_queue(0);
    let socket = site.socket();
    let args = ["ctl", "--socket", socket.to_str().unwrap(), "explain", "-H", "Cookie: BURDOCK_shop=web-1", "http://shop/"];
    let text = burdock(args).ok().stdout;
    assert!(text.contains("\nwait      up to 20000 ms for a place there\n"), "{text}");
}

/// How a server goes; false where it does not.
type Way<'a> = &'a dyn Fn(&Burdock, &Site) -> bool;

#[test]
fn who_waits_for_a_server_that_is_gone_does_not_wait_on() {
    const PATIENT: &str = "failover: {full: {wait: 20s, then: temporary}}, removed_servers: forget";
    let without = format!(
        "upstreams: {{shop: {{servers: [{{id: web-2, address: $IP:9002}}], sticky: [{{cookie: {{token: plain}}}}], {PATIENT}}}}}"
    );
    let renamed = shop("max_conns: 1", PATIENT).replace("{shop:", "{store:");
    let reload = |configuration: String| move |burdock: &Burdock, site: &Site| burdock.reload(site, &configuration);
    let remove = |burdock: &Burdock, _: &Site| {
        let path = "/api/v1/upstreams/shop/servers/web-1?now=true";
        burdock.api().ask(Request::new("DELETE", path)).status == 200
    };
    let ways: [Way<'_>; 3] = [&reload(without), &reload(renamed), &remove];
    for goes in ways {
        let site = Site::take();
        let full = Full::start(&site, 1, PATIENT);
        let _held = full.occupy();
        let mut waiting = full.sent("/waiting");
        full.wait_for_queue(1);
        let begun = Instant::now();
        assert!(goes(&full.burdock, &site));
        assert_eq!(waiting.response().served_by(), "web-2");
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(full.burdock.line("/waiting").reason(), "unknown_server");
    }
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let site = Site::take();
    let full = Full::start(&site, 3, "failover: {full: {wait: 50ms, then: {refuse: 503}}}, queue: {length: 8}");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..24)
            .map(|nth| {
                let full = &full;
                scope.spawn(move || {
                    let mut statuses = Vec::new();
                    for round in 0..25 {
                        let mut wire = full.sent("/");
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
    full.nothing_is_left();
    assert_eq!(full.burdock.ask(&tied("/after")).served_by(), "web-1");
}
