//! Upgrades: a new process takes over the sockets of the old one.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Api, Burdock, Client, LoadGenerator, Origin, Page, Reply, Request, SetOnDrop, Site, Successor, Wire};
use crate::harness::{burdock, eventually, is_running, rounds, shop, signal, wait_until, with_defaults};

const LEARN: &str = "sticky: [{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', table: sessions}}]";
/// The grace period outlasts the test, so streams survive.
const LONG_GRACE: &str =
    "process: {threads: 2, state_dir: $DIR/state, runtime_dir: $DIR/run, shutdown: {lame_duck: 0s, grace: 300s}}";
const HUGE: usize = 16 << 20;
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An application that creates a session for each request without one, and offers WebSockets and large pages.
fn serve(origin: &Origin, created: &'static AtomicUsize) {
    let name = origin.name.clone();
    origin.respond_with(move |request| match request.path() {
        "/socket" => Reply::Echo(UPGRADED.to_vec()),
        "/huge" => Page::new(200).body(vec![b'z'; HUGE]).into(),
        "/large" => Page::new(200).body(vec![b'x'; 1 << 20]).into(),
        _ if request.header("cookie").is_some_and(|cookie| cookie.contains("JSESSIONID=")) => Reply::status(200),
        _ => Reply::with("Set-Cookie", &format!("JSESSIONID={name}-session-{:08}; Path=/", created.fetch_add(1, Relaxed))),
    });
}

fn learning() -> String {
    format!("tables: {{sessions: {{idle_timeout: 1h}}}}\n{}", shop(3, LEARN))
}

/// Sends one request after the other; returns the failures.
fn send_requests(mut client: Client, number: usize, stop: &AtomicBool) -> Vec<String> {
    let (mut home, mut failures) = (None, Vec::new());
    let mut sent = 0_usize;
    while !stop.load(Relaxed) {
        sent += 1;
        let request = match (number % 8, sent % 50) {
            (0, 0) => Request::get("/large"),
            (1, 0) => Request::new("POST", "/").body(vec![b'y'; 300_000]),
            _ => Request::get("/"),
        };
        match client.try_ask(request) {
            Ok(response) if response.status == 200 => {
                let server = response.served_by().to_owned();
                if *home.get_or_insert_with(|| server.clone()) != server {
                    failures.push(format!("client {number} was moved at request {sent}"));
                }
            }
            Ok(response) => failures.push(format!("client {number}: {response:?}")),
            Err(error) => failures.push(format!("client {number}, request {sent}: {error}")),
        }
    }
    assert!(sent > 10, "the client sent only {sent} requests");
    failures
}

/// Reads one page after the other, each far larger than the kernel's buffers and for most of a second; returns the failures.
fn read_slowly(listen: std::net::SocketAddr, stop: &AtomicBool) -> Vec<String> {
    let (mut failures, mut pages) = (Vec::new(), 0);
    while !stop.load(Relaxed) {
        let read = Wire::try_open(listen).and_then(|mut wire| {
            wire.try_send(&Request::get("/huge").header("Connection", "close").bytes())?;
            let head = wire.head()?;
            for _ in 0..16 {
                wire.take(HUGE / 16)?;
                std::thread::sleep(Duration::from_millis(40));
            }
            Ok(head)
        });
        failures.extend(match read {
            Ok(head) if head.starts_with("HTTP/1.1 200") => None,
            Ok(head) => Some(head),
            Err(error) => Some(format!("a slow reader, page {pages}: {error}")),
        });
        pages += 1;
    }
    assert!(pages > 0, "the reader finished no page");
    failures
}

fn websocket(to: std::net::SocketAddr) -> Wire {
    let mut wire = Wire::open(to);
    let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
    assert_eq!(wire.ask(&request).status, 101);
    wire
}

fn echoes(wire: &mut Wire) -> bool {
    wire.try_send(b"still there").is_ok() && wire.take(11).is_ok_and(|echo| echo == b"still there")
}

/// Upgrades again and again while clients send requests and WebSockets are open.
fn upgrade_under_load(yaml: &str, between: impl Fn(&Site, usize)) {
    static CREATED: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| serve(origin, &CREATED));
    let first = site.burdock(&format!("{LONG_GRACE}\n{yaml}"));
    let (listen, stop) = (first.listen, AtomicBool::new(false));
    let mut sockets: Vec<Wire> = (0..50).map(|_| websocket(listen)).collect();
    let failures: Vec<String> = std::thread::scope(|scope| {
        let stop = &stop;
        let _guard = SetOnDrop(stop);
        let clients: Vec<_> = (0..64).map(|n| scope.spawn(move || send_requests(Client::new(listen), n, stop))).collect();
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(move || read_slowly(listen, stop))).collect();
        let mut chain = vec![Successor::of(&first)];
        assert!(sockets.iter_mut().all(echoes), "WebSockets survive in the old process");
        for round in 1..rounds(20) {
            between(&site, round);
            chain.push(chain[chain.len() - 1].next());
        }
        assert!(sockets.iter_mut().all(echoes), "WebSockets survive several upgrades");
        stop.store(true, Relaxed);
        let failures = clients.into_iter().chain(readers).flat_map(|client| client.join().unwrap()).collect();
        let last = &chain[chain.len() - 1];
        assert_eq!(last.api().get("/version")["pid"], last.pid());
        failures
    });
    assert!(
        failures.is_empty(),
        "{} failures, first {:?}\n{}",
        failures.len(),
        &failures[..failures.len().min(5)],
        first.stderr()
    );
}

#[test]
fn repeated_upgrades_fail_no_request_and_move_no_cookie_session() {
    upgrade_under_load(&shop(3, "sticky: cookie"), |_, _| {});
}

#[test]
fn repeated_upgrades_move_no_learned_session() {
    upgrade_under_load(&learning(), |_, _| {});
}

#[test]
fn upgrades_under_load_may_change_the_configuration() {
    upgrade_under_load(&shop(3, "sticky: cookie"), |site, round| {
        let yaml = shop(3, if round % 2 == 0 { "sticky: cookie" } else { "sticky: cookie\nbalance: least_conn" });
        site.write("burdock.yaml", &with_defaults(&format!("{LONG_GRACE}\n{yaml}")));
    });
}

#[test]
fn slow_clients_are_answered_during_an_upgrade() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let mut first = site.shop(2, "sticky: cookie");
    let (listen, stop) = (first.listen, AtomicBool::new(false));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let stop = &stop;
        let _guard = SetOnDrop(stop);
        let ask = move |pause: u64| {
            let mut failures = Vec::new();
            while !stop.load(Relaxed) {
                let mut wire = Wire::open(listen);
                std::thread::sleep(Duration::from_millis(pause));
                let outcome = wire.try_ask(&Request::get("/"));
                failures.extend(outcome.err().map(|error| error.to_string()));
            }
            failures
        };
        let clients: Vec<_> = (0..16).map(|n| scope.spawn(move || ask(40 + 10 * n))).collect();
        let successor = Successor::of(&first);
        assert!(first.wait_for_exit().success());
        stop.store(true, Relaxed);
        let failures = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        drop(successor);
        failures
    });
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn readiness_never_drops_during_an_upgrade() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    stays_ready_during_upgrade(&mut site.shop(1, "sticky: cookie"));
}

#[test]
fn a_silent_server_does_not_drop_readiness_during_an_upgrade() {
    let site = Site::new();
    let servers = [site.origin_process(1), site.origin_process(2)];
    let mut first = site.shop(2, "health_check: {http: {path: /}, interval: 60s, timeout: 20s}");
    servers[1].stop();
    stays_ready_during_upgrade(&mut first);
}

/// Polls `/readyz` until the first process has handed over and ended; every answer must be 200.
fn stays_ready_during_upgrade(first: &mut Burdock) {
    let (admin, stop) = (first.admin, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stop = &stop;
        let _guard = SetOnDrop(stop);
        let poller = scope.spawn(move || {
            let mut seen = Vec::new();
            while !stop.load(Relaxed) {
                seen.push(Wire::try_open(admin).and_then(|mut wire| wire.try_ask(&Request::get("/readyz"))));
                // The kernel remembers closed connections for minutes, and some kernels only a limited number.
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        let _successor = Successor::of(first);
        assert!(first.wait_for_exit().success());
        stop.store(true, Relaxed);
        let seen = poller.join().unwrap();
        let (answers, broken): (Vec<_>, Vec<_>) = seen.into_iter().partition(Result::is_ok);
        let other: Vec<_> =
            answers.iter().flatten().filter(|answer| answer.status != 200).map(|answer| answer.text()).collect();
        assert!(answers.len() > 100 && other.is_empty(), "of {} answers these are not 200: {other:?}", answers.len());
        assert!(broken.is_empty(), "{broken:?}");
    });
}

#[test]
fn a_successor_that_does_not_become_ready_changes_nothing() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    for step in ["greeted", "tables", "checked", "prepared"] {
        let mut burdock = Burdock::start_with(&site, &shop(2, "sticky: cookie"), ("BURDOCK_FAIL_AT", step));
        let load = LoadGenerator::start(burdock.listen, 4);
        let answer = burdock.api().send("POST", "/upgrade", &json!({}));
        assert_eq!(answer.status, 422, "{step}: {}", answer.text());
        assert!(answer.text().contains("exited before"), "{step}: {}", answer.text());
        load.wait_for_requests(100);
        assert!(load.end().iter().flatten().all(|outcome| outcome.result == Ok(200)), "{step}");
        assert_eq!((burdock.readiness_status(), burdock.exit_status()), (Some(200), None), "{step}");
        assert_eq!(burdock.api().get("/version")["pid"], burdock.pid(), "{step}");
        let pid = std::fs::read_to_string(site.path("run/burdock.pid")).unwrap();
        assert_eq!(pid.trim(), burdock.pid().to_string(), "{step}");
        burdock.kill();
    }
}

#[test]
fn what_killed_processes_left_in_the_runtime_directory_is_removed_at_start() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let mut killed = Burdock::start_with(&site, &shop(1, "sticky: cookie"), ("BURDOCK_FAIL_AT", "prepared"));
    assert_eq!(killed.api().send("POST", "/upgrade", &json!({})).status, 422);
    killed.kill();
    std::fs::create_dir(site.path("run/.note")).unwrap();
    std::fs::set_permissions(site.path("run/.note"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let private_directories = || -> Vec<String> {
        let entries = std::fs::read_dir(site.path("run")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.len() == 5 && name.starts_with('.')).collect()
    };
    assert_eq!(private_directories().len(), 2, "the successor was killed before it moved its socket");
    let _started = site.shop(1, "sticky: cookie");
    assert_eq!(private_directories(), [".note"], "only directories of mode 0700 are Burdock's");
}

#[test]
fn an_upgrade_refuses_an_invalid_configuration_and_accepts_the_next() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let yaml = shop(1, "sticky: cookie");
    let mut burdock = site.burdock(&yaml);
    let good = std::fs::read_to_string(site.dir().join("burdock.yaml")).unwrap();
    site.write("burdock.yaml", "listeners: nonsense");
    let answer = burdock.api().send("POST", "/upgrade", &json!({}));
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("burdock.yaml:1:12: listeners: expected"), "{}", answer.text());
    burdock.signal("QUIT");
    wait_until("both refusals are logged", || burdock.stderr().matches("this process continues").count() >= 2);
    assert_eq!((burdock.get("/").status, burdock.exit_status()), (200, None));
    site.write("burdock.yaml", &good);
    let _successor = Successor::of(&burdock);
    assert!(burdock.wait_for_exit().success());
}

#[test]
fn a_slow_upgrade_is_aborted_and_upgrades_never_overlap() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let burdock = site.burdock(&shop(1, "sticky: cookie"));
    let idle = site.write("idle", "#!/bin/sh\necho $$ > $DIR/idle.pid\nexec sleep 60\n");
    std::fs::set_permissions(&idle, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let api = burdock.api();
    let request = json!({"binary": idle, "timeout": 2});
    let first = std::thread::spawn(move || api.send("POST", "/upgrade", &request));
    let pid = || std::fs::read_to_string(site.path("idle.pid")).ok()?.trim().parse::<u32>().ok();
    wait_until("the successor has been started", || pid().is_some());
    let second = burdock.api().send("POST", "/upgrade", &json!({}));
    assert_eq!(second.status, 409, "{}", second.text());
    let change = burdock.api().send("PATCH", "/upstreams/shop/servers/web-1", &json!({"weight": 2}));
    assert_eq!(change.status, 503, "the successor would miss the change: {}", change.text());
    let first = first.join().unwrap();
    assert_eq!(first.status, 422, "{}", first.text());
    assert!(first.text().contains("within 2s"), "{}", first.text());
    assert!(!is_running(pid().unwrap()));
    assert_eq!(burdock.api().send("PATCH", "/upstreams/shop/servers/web-1", &json!({"weight": 2})).status, 200);
}

#[test]
fn a_successor_ends_when_its_predecessor_crashes_early() {
    let site = Site::new();
    let origin = site.origin(1);
    let mut first = site.shop(1, "health_check: {http: {path: /health}, interval: 60s, timeout: 60s}");
    // The successor waits for its first round of health checks.
    origin.respond_with(|_| Reply::Silence);
    first.signal("USR2");
    let successor = eventually("the successor has been started", || Daemon::find(&site, first.pid()));
    wait_until("the successor has received the state", || first.stderr().contains("to take over"));
    first.kill();
    wait_until("the successor has ended", || !is_running(successor.0));
    origin.respond_with(|_| Reply::status(200));
    let _restarted = site.shop(1, "");
}

#[test]
fn a_signal_or_the_command_starts_an_upgrade() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    for trigger in ["USR2", "QUIT", "command"] {
        let mut first = site.burdock(&shop(1, "sticky: cookie"));
        if trigger == "command" {
            let file = site.dir().join("burdock.yaml");
            let finished = burdock(["upgrade".as_ref(), "-c".as_ref(), file.as_os_str()]).ok();
            assert!(finished.stderr.contains("has taken over"), "{}", finished.stderr);
        } else {
            first.signal(trigger);
        }
        assert!(first.wait_for_exit().success(), "{trigger}");
        let pid = std::fs::read_to_string(site.path("run/burdock.pid")).unwrap().trim().parse().unwrap();
        assert_ne!(pid, first.pid());
        assert_eq!((first.get("/").status, first.readiness_status()), (200, Some(200)), "{trigger}");
        signal(pid, "TERM");
        wait_until("the successor ends", || !is_running(pid));
    }
}

#[test]
fn sessions_learned_during_shutdown_reach_the_successor() {
    static CREATED: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| serve(origin, &CREATED));
    for yaml in [learning(), learning().replace("idle_timeout: 1h", "idle_timeout: 1h, persist: false")] {
        let mut first = site.burdock(&yaml);
        let mut before: Vec<Client> = (0..30).map(|_| first.client()).collect();
        let homes: Vec<String> = before.iter_mut().map(|client| client.get("/").served_by().to_owned()).collect();
        let mut late: Vec<Wire> = (0..8).map(|_| first.wire()).collect();
        let successor = Successor::of(&first);
        // These connections belong to the old process, which learns their sessions after the handover.
        let learned = late.iter_mut().map(|wire| {
            let response = wire.ask(&Request::get("/"));
            let cookie = response.set_cookies()[0].split(';').next().unwrap().to_owned();
            (response.served_by().to_owned(), cookie)
        });
        let learned: Vec<(String, String)> = learned.collect();
        assert!(first.wait_for_exit().success());
        for (client, home) in before.iter_mut().zip(&homes) {
            assert_eq!(client.get("/").served_by(), home);
        }
        for (home, cookie) in &learned {
            assert_eq!(first.ask(&Request::get("/").header("Cookie", cookie)).served_by(), home);
        }
        drop(successor);
    }
}

/// Three processes. The second has no connection left; the first has one, on which a session will be created.
struct Chain {
    first: Burdock,
    second: Successor,
    third: Successor,
    late: Wire,
    release: Sender<()>,
    _origin: Origin,
}

impl Chain {
    fn start(site: &Site) -> Self {
        let origin = site.origin(1);
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        origin.respond_with(move |_| {
            let _ = gate.lock().unwrap().recv();
            Reply::with("Set-Cookie", "JSESSIONID=made-at-the-end-00000001; Path=/")
        });
        let first = site.burdock(&format!("{LONG_GRACE}\ntables: {{sessions: {{idle_timeout: 1h}}}}\n{}", shop(1, LEARN)));
        let mut late = first.wire();
        late.send(Request::get("/").header("Connection", "close").bytes());
        wait_until("the request reaches the server", || !origin.received().is_empty());
        let second = Successor::of(&first);
        let third = second.next();
        let idle = || first.stderr().contains("the last connection is gone") || !second.is_running();
        wait_until("the second has no connection left", idle);
        Self { first, second, third, late, release, _origin: origin }
    }
}

#[test]
fn chained_upgrades_relay_late_sessions() {
    let site = Site::new();
    let Chain { mut first, second, third, mut late, release, _origin } = Chain::start(&site);
    drop(release);
    assert_eq!(late.response().status, 200);
    assert!(first.wait_for_exit().success());
    wait_until("the second ends", || !second.is_running());
    let sessions = || third.api().get("/tables/sessions/sessions")["sessions"].as_array().map_or(0, Vec::len);
    wait_until("the third has the session that the first learned", || sessions() == 1);
}

#[test]
fn a_process_that_only_relays_sessions_ends_on_sigterm() {
    let site = Site::new();
    let mut chain = Chain::start(&site);
    assert!(chain.second.is_running());
    signal(chain.second.pid(), "TERM");
    wait_until("the second ends", || !chain.second.is_running());
    assert!(chain.first.exit_status().is_none() && chain.third.is_running());
    drop(chain.release);
    assert_eq!(chain.late.response().status, 200);
    assert!(chain.first.wait_for_exit().success(), "the first ends although its receiver is gone");
}

#[test]
fn health_and_runtime_overrides_survive_an_upgrade() {
    let site = Site::new();
    let mut origins: Vec<Origin> = site.origins::<5>().into();
    let settings = "sticky: cookie\nhealth_check: {http: {path: /health}, interval: 100ms, timeout: 100ms}\nslow_start: 1h\n\
                    passive_health: {failures: 2, hold: 60s}";
    let first = site.burdock(&shop(5, settings));
    let server = |id: &str| format!("/upstreams/shop/servers/{id}");
    assert_eq!(first.api().send("PATCH", &server("web-1"), &json!({"state": "drain", "weight": 7})).status, 200);
    origins.remove(1);
    origins[1].respond_with(|request| Reply::status(if request.path() == "/health" { 200 } else { 500 }));
    let health = |api: &Api, id: &str| api.get(&server(id))["health"].as_str().unwrap().to_owned();
    wait_until("web-2 is down", || health(&first.api(), "web-2") == "down");
    wait_until("web-3 is ejected", || {
        first.get("/");
        health(&first.api(), "web-3") == "ejected"
    });
    let before = first.api().get(&server("web-1"));
    let successor = Successor::of(&first);
    for (id, expected) in [("web-2", "down"), ("web-3", "ejected"), ("web-4", "up")] {
        assert_eq!(health(&successor.api(), id), expected);
    }
    let drained = successor.api().get(&server("web-1"));
    for field in ["state", "weight", "health"] {
        assert_eq!(drained[field], before[field], "{drained}");
    }
    assert_eq!(drained["weight"], 7);
    let version = successor.api().get("/version");
    assert!(version["uptime"].as_u64().unwrap() < 20, "{version}");
}

#[test]
fn a_detours_time_limit_survives_an_upgrade() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let first = site.shop(2, "sticky: [{cookie: {token: plain}}]\nfailover: {unknown: {temporary: 2s}}");
    let moves = || !first.ask(&Request::get("/").header("Cookie", "BURDOCK_shop=gone")).set_cookies().is_empty();
    wait_until("the time limit has passed", moves);
    let _successor = Successor::of(&first);
    // Both processes answer for a while, and each connection reaches one of them.
    assert!((0..20).all(|_| moves()), "the time limit has started again");
}

#[test]
fn a_successor_that_crashes_later_leaves_its_sessions_on_disk() {
    static CREATED: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<3>();
    origins.iter().for_each(|origin| serve(origin, &CREATED));
    let yaml = learning();
    let mut first = site.burdock(&yaml);
    let successor = Successor::of(&first);
    let mut clients: Vec<Client> = (0..30).map(|_| first.client()).collect();
    assert!(first.wait_for_exit().success());
    let homes: Vec<String> = clients.iter_mut().map(|client| client.get("/").served_by().to_owned()).collect();
    // Sessions older than a second are safe; newer ones may be lost.
    let safe = Instant::now() + Duration::from_millis(1_050);
    while Instant::now() < safe {
        first.get("/");
    }
    signal(successor.pid(), "KILL");
    wait_until("the successor is gone", || !successor.is_running());
    let _restarted = site.burdock(&yaml);
    for (client, home) in clients.iter_mut().zip(&homes) {
        assert_eq!(client.get("/").served_by(), home);
    }
}

#[test]
fn an_upgrade_may_change_the_listeners() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let yaml = |listeners: &str| format!("listeners: [{listeners}]\n{}", shop(1, "sticky: cookie"));
    let mut first = site.burdock(&yaml("$IP:8080, $IP:8081"));
    let answers = |port: u16| Wire::try_open(site.at(port)).is_ok_and(|mut wire| wire.try_ask(&Request::get("/")).is_ok());
    assert!(answers(8080) && answers(8081) && !answers(8082));
    site.write("burdock.yaml", &with_defaults(&yaml("$IP:8080, $IP:8082")));
    let _successor = Successor::of(&first);
    assert!(answers(8080) && answers(8082));
    assert!(first.wait_for_exit().success());
    assert!(answers(8080) && !answers(8081) && answers(8082));
}

#[test]
fn an_upgrade_to_an_occupied_address_is_refused_up_front() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let yaml = |listeners: &str| format!("listeners: [{listeners}]\n{}", shop(1, "sticky: cookie"));
    let mut first = site.burdock(&yaml("$IP:8080"));
    let _other_program = std::net::TcpListener::bind(site.at(8082)).unwrap();
    site.write("burdock.yaml", &with_defaults(&yaml("$IP:8080, $IP:8082")));
    let answer = first.api().send("POST", "/upgrade", &json!({}));
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains(&format!("cannot listen on {}", site.at(8082))), "{}", answer.text());
    assert_eq!((first.get("/").status, first.readiness_status(), first.exit_status()), (200, Some(200), None));
}

#[test]
fn the_old_process_stays_while_its_successor_cannot_listen() {
    let (site, other) = (Site::new(), Site::new());
    let _origins = site.origins::<1>();
    let yaml = |listeners: &str| format!("listeners: [{listeners}]\n{}", shop(1, "sticky: cookie"));
    let mut first = site.burdock(&yaml("$IP:8080"));
    // The address is bound but not listening, so the successor keeps retrying.
    let occupied = tokio::net::TcpSocket::new_v4().unwrap();
    occupied.bind(other.at(8080)).unwrap();
    site.write("burdock.yaml", &with_defaults(&yaml(&format!("$IP:8080, '{}'", other.at(8080)))));
    let api = first.api();
    let upgrade = std::thread::spawn(move || api.send("POST", "/upgrade", &json!({})));
    first.wait_for_log("handing over the listening sockets");
    assert!((0..50).all(|_| first.get("/").status == 200));
    assert_eq!((first.exit_status(), upgrade.is_finished()), (None, false));
    drop(occupied);
    let answer = upgrade.join().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(first.wait_for_exit().success());
    let successor = answer.json()["pid"].as_u64().unwrap() as u32;
    signal(successor, "TERM");
    wait_until("the successor ends", || !is_running(successor));
}

#[test]
fn sigterm_during_shutdown_ends_the_process_at_once() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|_| Reply::Echo(UPGRADED.to_vec()));
    let mut first = site.shop(1, "sticky: cookie");
    let _socket = websocket(first.listen);
    let _successor = Successor::of(&first);
    assert!(first.exit_status().is_none());
    first.signal("TERM");
    assert!(first.wait_for_exit().success());
}

#[test]
fn a_daemon_outlives_its_command_and_writes_a_pid_file() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let mut command = Burdock::launch(&site, &shop(1, "sticky: cookie"), &["-d"]);
    wait_until("the daemon is ready", || command.readiness_status() == Some(200));
    assert!(command.wait_for_exit_and_output().success());
    let daemon = Daemon::of(&site);
    assert_eq!(command.get("/served").status, 200);
    command.log_line("/served");
    assert_eq!(std::fs::read_to_string(site.path("run/burdock.pid")).unwrap().trim(), daemon.0.to_string());
    signal(daemon.0, "TERM");
    wait_until("the daemon ends", || !daemon.exists());
}

/// A process that is not a child of the test, killed when dropped.
struct Daemon(u32);

impl Daemon {
    /// The only process whose command line names the site's directory.
    fn of(site: &Site) -> Self {
        Self::find(site, std::process::id()).expect("a daemon")
    }

    /// The same, except for this process.
    fn find(site: &Site, except: u32) -> Option<Self> {
        let directory = site.dir().display().to_string();
        let mut numbers =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let named = |process: &u32| {
            *process != except
                && std::fs::read_to_string(format!("/proc/{process}/cmdline")).is_ok_and(|line| line.contains(&directory))
        };
        numbers.find(named).map(Self)
    }

    fn exists(&self) -> bool {
        Path::new(&format!("/proc/{}", self.0)).exists()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.exists() {
            signal(self.0, "KILL");
        }
    }
}
