//! Server connections that belong to one client connection: logins bound to a connection (NTLM, Negotiate), and
//! `connections: private`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Burdock, Origin, Page, ReceivedRequest, Reply, Request, Response, SetOnDrop, Site, Wire, rounds, wait_until,
};

const CHALLENGE: &str = "WWW-Authenticate";

/// Two threads with room for one idle connection each; idle connections are closed after a second.
fn crowded(site: &Site, settings: &str) -> Burdock {
    let process = "process: {threads: 2, upstream_pool: 1, state_dir: $DIR/state, runtime_dir: $DIR/run}";
    let shop = crate::harness::shop(1, &format!("sticky: cookie\ntimeouts: {{keepalive: 1s}}\n{settings}"));
    site.burdock(&format!("{process}\n{shop}"))
}

/// A server that binds a login to the connection, as IIS does: from NTLM's third message on, every request on the connection gets
/// that user's mailbox.
fn binds_logins(origin: &Origin) {
    let users: Mutex<HashMap<usize, String>> = Mutex::default();
    origin.respond_with(move |request| {
        let mut users = users.lock().unwrap();
        let authorization = request.header("authorization").unwrap_or_default();
        if authorization == "NTLM TYPE1" {
            users.remove(&request.connection);
            return unauthorized(request, "NTLM TYPE2");
        }
        if let Some(user) = authorization.strip_prefix("NTLM TYPE3 ") {
            users.insert(request.connection, user.to_owned());
        }
        match users.get(&request.connection) {
            Some(user) => page(200, request).body(format!("mailbox of {user}")).into(),
            None => unauthorized(request, "NTLM"),
        }
    });
}

fn page(status: u16, request: &ReceivedRequest) -> Page {
    Page::new(status).header("X-Connection", &request.connection.to_string())
}

fn unauthorized(request: &ReceivedRequest, challenge: &str) -> Reply {
    page(401, request).header(CHALLENGE, challenge).into()
}

fn connection(response: &Response) -> usize {
    response.header("x-connection").expect("the connection's number").parse().unwrap()
}

/// Logs in on this connection: two requests are answered with 401, the third with the mailbox.
fn log_in(wire: &mut Wire, user: &str) -> Response {
    let ask = |wire: &mut Wire, authorization: &str| {
        let request = Request::get("/mail");
        wire.ask(&if authorization.is_empty() { request } else { request.header("Authorization", authorization) })
    };
    assert_eq!(ask(wire, "").header(CHALLENGE), Some("NTLM"));
    assert_eq!(ask(wire, "NTLM TYPE1").header(CHALLENGE), Some("NTLM TYPE2"));
    ask(wire, &format!("NTLM TYPE3 {user}"))
}

fn is_mailbox_of(response: &Response, user: &str) {
    assert_eq!((response.status, response.text()), (200, format!("mailbox of {user}")), "{response:?}");
}

#[test]
fn logins_stay_with_their_client_connection() {
    const CLIENTS: usize = 50;
    let site = Site::new();
    let origin = site.origin(1);
    binds_logins(&origin);
    let burdock = crowded(&site, "");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| stranger(&burdock, &stop));
        }
        let users = (0..CLIENTS).map(|n| {
            let (origin, burdock) = (&origin, &burdock);
            scope.spawn(move || {
                for _ in 0..rounds(1000).div_ceil(CLIENTS) {
                    log_in_use_and_leave(origin, burdock, &format!("user-{}", n % 10));
                }
            })
        });
        let _guard = SetOnDrop(&stop);
        for user in users.collect::<Vec<_>>() {
            user.join().expect("each login stays valid");
        }
    });
}

fn log_in_use_and_leave(origin: &Origin, burdock: &Burdock, user: &str) {
    let mut wire = burdock.wire();
    let login = log_in(&mut wire, user);
    is_mailbox_of(&login, user);
    // Longer than `timeouts.keepalive`, while other connections compete for the pool.
    thread::sleep(Duration::from_secs(5));
    is_mailbox_of(&wire.ask(&Request::get("/mail")), user);
    let post = wire.ask(&Request::new("POST", "/mail").body("a letter"));
    is_mailbox_of(&post, user);
    assert_eq!(connection(&post), connection(&login));
    drop(wire);
    let disconnect = Instant::now();
    wait_until("the server connection ends", || !origin.is_open(connection(&login)));
    if rounds(10) == 10 {
        assert!(disconnect.elapsed() < Duration::from_secs(1), "{:?} after its client", disconnect.elapsed());
    }
}

/// Sends requests without a login, on new and on reused connections, and must never see a mailbox.
fn stranger(burdock: &Burdock, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let mut wire = burdock.wire();
        for request in [Request::get("/mail"), Request::new("POST", "/mail").body("x"), Request::get("/mail")] {
            let response = wire.ask(&request);
            assert_eq!((response.status, response.text()), (401, String::new()), "a stranger saw {response:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_negotiate_login_is_private_from_its_first_request() {
    let site = Site::new();
    let origin = site.origin(1);
    let users: Mutex<HashMap<usize, String>> = Mutex::default();
    origin.respond_with(move |request| {
        let mut users = users.lock().unwrap();
        if let Some(ticket) = request.header("authorization").and_then(|value| value.strip_prefix("Negotiate ")) {
            users.insert(request.connection, ticket.to_owned());
        }
        users.get(&request.connection).map_or_else(|| Reply::status(401), |user| Page::new(200).body(user.clone()).into())
    });
    let burdock = crowded(&site, "");
    let mut alice = burdock.wire();
    let login = Request::get("/").header("Authorization", "Negotiate alice");
    assert_eq!(alice.ask(&login).text(), "alice", "without a preceding 401");
    assert_eq!(burdock.get("/").status, 401);
    assert_eq!(alice.ask(&Request::get("/")).text(), "alice");
}

#[test]
fn a_private_connection_ends_with_its_client() {
    let site = Site::new();
    let origin = site.origin(1);
    let burdock = crowded(&site, "connections: private");
    let mut wire = burdock.wire();
    assert_eq!(wire.ask(&Request::get("/")).status, 200);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(wire.ask(&Request::get("/")).status, 200);
    assert_eq!(origin.last().earlier, 1, "the connection outlives timeouts.keepalive");
    assert_eq!(origin.connections(), 1);
    drop(wire);
    wait_until("the connection is closed", || origin.connections() == 0);
}

#[test]
fn private_connections_are_never_shared_between_clients() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|request| page(200, request).into());
    let burdock = crowded(&site, "connections: private");
    let mut clients: Vec<Wire> = (0..4).map(|_| burdock.wire()).collect();
    let mut ask_all = || clients.iter_mut().map(|wire| connection(&wire.ask(&Request::get("/")))).collect::<Vec<_>>();
    let first = ask_all();
    assert_eq!(ask_all(), first, "each client keeps its connection");
    let mut distinct = first.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "{first:?}");
}

#[test]
fn an_unusable_private_connection_is_replaced() {
    let site = Site::new();
    let origin = site.origin(1);
    origin.respond_with(|request| match request.path() {
        "/last" => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()),
        "/gone" => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
        "/long" => Reply::Raw(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged".to_vec(),
        ),
        _ => page(200, request).body(request.path().to_owned()).into(),
    });
    let burdock = crowded(&site, "connections: private");
    let mut wire = burdock.wire();
    for path in ["/last", "/gone", "/long"] {
        assert_eq!(wire.ask(&Request::get(path)).status, 200, "{path}");
        let post = wire.ask(&Request::new("POST", "/next").body("x"));
        assert_eq!((post.status, post.text().as_str()), (200, "/next"), "after {path}");
        assert_eq!(origin.last().earlier, 0, "after {path}");
    }
}

#[test]
fn a_websocket_uses_the_connection_that_carries_its_login() {
    let site = Site::new();
    let origin = site.origin(1);
    let user: Arc<Mutex<Option<usize>>> = Arc::default();
    let logged_in = Arc::clone(&user);
    origin.respond_with(move |request| {
        let mut user = logged_in.lock().unwrap();
        if request.header("authorization").is_some() {
            *user = Some(request.connection);
        }
        match (*user == Some(request.connection), request.header("upgrade")) {
            (true, Some(_)) => Reply::Echo(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec(),
            ),
            (true, None) => Reply::status(200),
            (false, _) => unauthorized(request, "NTLM"),
        }
    });
    let burdock = crowded(&site, "");
    let upgrade = || Request::get("/ws").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let mut wire = burdock.wire();
    assert_eq!(wire.ask(&upgrade()).status, 401);
    assert_eq!(wire.ask(&Request::get("/").header("Authorization", "NTLM TYPE3 alice")).status, 200);
    assert_eq!(wire.ask(&upgrade()).status, 101);
    for message in ["one", "two"] {
        wire.send(message);
        assert_eq!(wire.take(3).unwrap(), message.as_bytes());
    }
}
