//! Sessions that begin, move and end while the two processes of an upgrade both serve.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Burdock, Origin, Reply, Request, Response, SetOnDrop, Site, Successor, Wire};
use crate::harness::{rounds, shop, wait_until};

const LEARN: &str = "sticky: [{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', table: sessions}}]";
const SERVERS: u16 = 4;
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An application in which any server takes a login under the name that the query gives.
fn serve(origin: &Origin) {
    origin.respond_with(|request| match (request.path(), request.target().split_once("sid=")) {
        ("/login", Some((_, name))) => Reply::with("Set-Cookie", &format!("JSESSIONID={name}; Path=/")),
        ("/logout", Some((_, name))) => Reply::with("Set-Cookie", &format!("JSESSIONID={name}; Path=/; Max-Age=0")),
        ("/socket", _) => Reply::Echo(UPGRADED.to_vec()),
        _ => Reply::status(200),
    });
}

fn learning(grace: &str) -> String {
    let process = format!(
        "process: {{threads: 2, state_dir: $DIR/state, runtime_dir: $DIR/run, shutdown: {{lame_duck: 0s, grace: {grace}}}}}"
    );
    format!("{process}\ntables: {{sessions: {{idle_timeout: 1h}}}}\n{}", shop(SERVERS, LEARN))
}

/// What the users have seen.
#[derive(Debug, Default)]
struct Seen {
    sessions: usize,
    moves: usize,
    deletions: usize,
    slowest: Duration,
    failures: Vec<String>,
}

/// One user after the other, on new connections and on some that are kept.
struct Users {
    listen: SocketAddr,
    kept: Vec<Option<Wire>>,
    turn: usize,
    seen: Seen,
}

impl Users {
    fn new(listen: SocketAddr) -> Self {
        Self { listen, kept: (0..4).map(|_| None).collect(), turn: 0, seen: Seen::default() }
    }

    /// Sends a request, every other time on a connection that may be older than the process that serves now.
    fn ask(&mut self, request: &Request) -> Result<Response, String> {
        self.turn += 1;
        let begun = Instant::now();
        let at = self.turn / 2 % self.kept.len();
        let kept = if self.turn.is_multiple_of(2) { None } else { self.kept[at].take().filter(|wire| !wire.is_readable()) };
        let which = if kept.is_some() { "kept" } else { "new" };
        let failed = |error: std::io::Error| format!("on a {which} connection: {error}");
        let mut wire = kept.map_or_else(|| Wire::try_open(self.listen), Ok).map_err(failed)?;
        let response = wire.try_ask(request).map_err(failed)?;
        self.seen.slowest = self.seen.slowest.max(begun.elapsed());
        if self.kept[at].is_none() && response.header("connection").is_none() {
            self.kept[at] = Some(wire);
        }
        if response.status == 200 { Ok(response) } else { Err(format!("{response:?}")) }
    }

    /// The server of a request of this session.
    fn home(&mut self, name: &str) -> Result<String, String> {
        let request = Request::get("/").header("Cookie", &format!("JSESSIONID={name}"));
        self.ask(&request).map(|response| response.served_by().to_owned())
    }

    /// Logs in at a server that is none of these.
    fn log_in(&mut self, name: &str, but: &[&str]) -> Result<String, String> {
        for _ in 0..1_000 {
            let response = self.ask(&Request::get(&format!("/login?sid={name}")))?;
            if !but.contains(&response.served_by()) {
                return Ok(response.served_by().to_owned());
            }
        }
        Err("no other server".to_owned())
    }

    /// The life of one session.
    fn live(&mut self, name: &str) -> Result<(), String> {
        let is = |found: String, expected: &str, when: &str| {
            (found == expected).then_some(()).ok_or_else(|| format!("{name} {when}: at {found}, not {expected}"))
        };
        let unknown = self.home(name)?;
        let first = self.log_in(name, &[&unknown])?;
        self.seen.sessions += 1;
        is(self.home(name)?, &first, "after its login")?;
        let second = self.log_in(name, &[&unknown, &first])?;
        self.seen.moves += 1;
        is(self.home(name)?, &second, "after it moved")?;
        is(self.home(name)?, &second, "after it moved, again")?;
        let out = Request::get(&format!("/logout?sid={name}")).header("Cookie", &format!("JSESSIONID={name}"));
        is(self.ask(&out)?.served_by().to_owned(), &second, "at its logout")?;
        self.seen.deletions += 1;
        is(self.home(name)?, &unknown, "after its logout")
    }

    fn run(mut self, stop: &AtomicBool) -> Seen {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        while !stop.load(Relaxed) {
            let name = format!("session-{:012}", NAMES.fetch_add(1, Relaxed));
            if let Err(failure) = self.live(&name) {
                self.seen.failures.push(failure);
            }
        }
        self.seen
    }
}

fn websocket(to: SocketAddr) -> Wire {
    let mut wire = Wire::open(to);
    let request = Request::get("/socket").header("Connection", "Upgrade").header("Upgrade", "websocket");
    assert_eq!(wire.ask(&request).status, 101);
    wire
}

/// At full length, responses wait for confirmations as long as they do in production, and this test runs alone. A tenth of it runs
/// beside others on a machine that may be busy, so there they wait longer.
fn start(site: &Site, grace: &str) -> Burdock {
    let full = rounds(20) == 20;
    let wait = if full { ("BURDOCK_CONFIRM_MILLIS", "20") } else { ("BURDOCK_CONFIRM_MILLIS", "2000") };
    Burdock::start_with(site, &learning(grace), wait)
}

/// Upgrades again and again while sessions begin, move and end; WebSockets keep each process alive.
fn upgrade_while_sessions_change(grace: &str) {
    let site = Site::new();
    let origins = site.origins::<{ SERVERS as usize }>();
    origins.iter().for_each(serve);
    let first = start(&site, grace);
    let (listen, stop) = (first.listen, AtomicBool::new(false));
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let stop = &stop;
        let _guard = SetOnDrop(stop);
        let users: Vec<_> = (0..8).map(|_| scope.spawn(move || Users::new(listen).run(stop))).collect();
        let mut sockets = vec![websocket(listen)];
        let mut last = Successor::of(&first);
        let mut chain = Vec::new();
        for _ in 1..rounds(20) {
            sockets.push(websocket(listen));
            let next = last.next();
            chain.push(std::mem::replace(&mut last, next));
        }
        // The last window: idle connections reach the old process for a second.
        std::thread::sleep(Duration::from_millis(1_500));
        stop.store(true, Relaxed);
        users.into_iter().map(|users| users.join().unwrap()).collect()
    });
    let failures: Vec<&String> = seen.iter().flat_map(|seen| &seen.failures).collect();
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let slowest = seen.iter().map(|seen| seen.slowest).max().unwrap();
    let counts = (sum(|seen| seen.sessions), sum(|seen| seen.moves), sum(|seen| seen.deletions));
    println!("{} upgrades, grace {grace}: {counts:?} sessions, moves and deletions; slowest {slowest:?}", rounds(20));
    assert!(failures.is_empty(), "{} of {counts:?}, first {:#?}", failures.len(), &failures[..failures.len().min(8)]);
    assert!(counts.0 > 20 * rounds(20), "only {counts:?}");
}

#[test]
fn no_session_that_changes_during_upgrades_is_lost() {
    upgrade_while_sessions_change("300s");
}

#[test]
fn no_session_that_changes_during_upgrades_with_a_short_grace_is_lost() {
    upgrade_while_sessions_change("2s");
}

#[test]
fn a_successor_that_dies_at_any_step_loses_no_session_and_the_old_process_goes_on() {
    let site = Site::new();
    let origins = site.origins::<{ SERVERS as usize }>();
    origins.iter().for_each(serve);
    for step in ["greeted", "tables", "checked", "prepared", "taken", "stored", "placed", "unsent"] {
        let mut burdock = Burdock::start_with(&site, &learning("300s"), ("BURDOCK_FAIL_AT", step));
        let (mut users, mut homes) = (Users::new(burdock.listen), Vec::new());
        let mut log_in = |users: &mut Users, n: usize| {
            let name = format!("{step}-{n:012}");
            let unknown = users.home(&name).unwrap();
            homes.push((users.log_in(&name, &[&unknown]).unwrap(), name));
        };
        (0..20).for_each(|n| log_in(&mut users, n));
        let answer = burdock.api().send("POST", "/upgrade", &json!({}));
        assert_eq!(answer.status, 422, "{step}: {}", answer.text());
        // Of the process that has died, it may have had kept connections.
        users.kept.iter_mut().for_each(|wire| *wire = None);
        (20..40).for_each(|n| log_in(&mut users, n));
        homes.iter().for_each(|(home, name)| assert_eq!(users.home(name).as_ref(), Ok(home), "{step}"));
        assert_eq!((burdock.readiness_status(), burdock.exit_status()), (Some(200), None), "{step}");
        assert_eq!(burdock.api().get("/version")["pid"], burdock.pid(), "{step}: the admin socket");
        let pid = std::fs::read_to_string(site.path("run/burdock.pid")).unwrap();
        assert_eq!(pid.trim(), burdock.pid().to_string(), "{step}");
        let change = burdock.api().send("PATCH", "/upstreams/shop/servers/web-1", &json!({"weight": 2}));
        assert_eq!(change.status, 200, "{step}: {}", change.text());
        burdock.signal("TERM");
        assert!(burdock.wait_for_exit().success(), "{step}");
        // What it has saved after it took everything back.
        let mut restarted = site.burdock(&learning("300s"));
        homes.iter().for_each(|(home, name)| assert_eq!(users.home(name).as_ref(), Ok(home), "{step}, from disk"));
        assert_eq!(restarted.api().get("/upstreams/shop/servers/web-1")["weight"], 2, "{step}");
        restarted.kill();
        std::fs::remove_dir_all(site.path("state")).unwrap();
    }
}

#[test]
fn the_old_process_stops_accepting_when_the_new_one_serves() {
    let site = Site::new();
    let origins = site.origins::<{ SERVERS as usize }>();
    origins.iter().for_each(serve);
    let mut first = site.burdock(&learning("300s"));
    let begun = Instant::now();
    let successor = Successor::of(&first);
    assert!(first.wait_for_exit().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    drop(successor);
}

#[test]
fn a_drain_at_the_new_process_holds_for_requests_of_the_old_one() {
    let site = Site::new();
    let origins = site.origins::<{ SERVERS as usize }>();
    origins.iter().for_each(serve);
    let first = site.burdock(&learning("300s"));
    // Their requests are complete only later, so the old process waits for them.
    let mut open: Vec<Wire> = (0..60).map(|_| first.wire()).collect();
    open.iter_mut().for_each(|wire| wire.send(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n"));
    let successor = Successor::of(&first);
    for server in ["web-1", "web-2", "web-3"] {
        let path = format!("/upstreams/shop/servers/{server}");
        assert_eq!(successor.api().send("PATCH", &path, &json!({"state": "drain"})).status, 200);
    }
    let served_by = |wire: &mut Wire| {
        wire.send(b"Connection: close\r\n\r\n");
        wire.response().served_by().to_owned()
    };
    let mut rest = open.iter_mut();
    let mut in_a_row = 0;
    wait_until("the old process drains them too", || {
        let server = served_by(rest.next().expect("it drains them before all requests are complete"));
        in_a_row = if server == "web-4" { in_a_row + 1 } else { 0 };
        // Not to use up the open requests before it can know.
        std::thread::sleep(Duration::from_millis(20));
        in_a_row == 8
    });
    assert!(rest.all(|wire| served_by(wire) == "web-4"));
    drop(successor);
}

#[test]
fn header_sessions_keep_their_server_during_upgrades() {
    let site = Site::new();
    let origins = site.origins::<{ SERVERS as usize }>();
    origins.iter().for_each(serve);
    let first = site.burdock(&shop(SERVERS, "sticky: [{header: {name: X-Session}}]"));
    let (listen, stop) = (first.listen, AtomicBool::new(false));
    let moved: Vec<String> = std::thread::scope(|scope| {
        let stop = &stop;
        let _guard = SetOnDrop(stop);
        let app = move || {
            let mut moved = Vec::new();
            while !stop.load(Relaxed) {
                let begun = Wire::open(listen).ask(&Request::get("/"));
                let token = begun.header("x-session").unwrap().to_owned();
                let again = Request::get("/").header("X-Session", &token);
                let servers: Vec<_> = (0..3).map(|_| Wire::open(listen).ask(&again).served_by().to_owned()).collect();
                moved.extend(servers.into_iter().filter(|server| *server != begun.served_by()));
            }
            moved
        };
        let apps: Vec<_> = (0..4).map(|_| scope.spawn(app)).collect();
        let mut last = Successor::of(&first);
        for _ in 1..rounds(20) {
            last = last.next();
        }
        stop.store(true, Relaxed);
        apps.into_iter().flat_map(|app| app.join().unwrap()).collect()
    });
    assert_eq!(moved, Vec::<String>::new());
}
