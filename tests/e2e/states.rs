//! Server states in the configuration: which servers serve tied sessions, and which get new ones.

use std::collections::BTreeSet;

use crate::harness::{Burdock, Reply, Request, Site, Wire, wait_until};

/// Two servers, the first with this setting, and plain tokens.
fn with_first(site: &Site, setting: &str, more: &str) -> Burdock {
    let servers = format!("[{{id: web-1, address: $IP:9001, {setting}}}, {{id: web-2, address: $IP:9002}}]");
    site.burdock(&format!("upstreams: {{shop: {{servers: {servers}, sticky: [{{cookie: {{token: plain}}}}]{more}}}}}"))
}

fn tied_to(server: &str, path: &str) -> Request {
    Request::get(path).header("Cookie", &format!("BURDOCK_shop={server}"))
}

/// The servers that new clients go to.
fn servers_of_new_clients(burdock: &Burdock) -> BTreeSet<String> {
    (0..6).map(|_| burdock.get("/new").served_by().to_owned()).collect()
}

#[test]
fn a_draining_server_keeps_its_sessions_and_gets_no_new_ones() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = with_first(&site, "state: drain", "");
    assert_eq!(servers_of_new_clients(&burdock), ["web-2".to_owned()].into());
    let tied = burdock.ask(&tied_to("web-1", "/tied"));
    assert_eq!((tied.served_by(), tied.set_cookies().len()), ("web-1", 0));
    assert_eq!(burdock.log_line("/tied").reason(), "hit");
}

#[test]
fn a_server_of_weight_0_keeps_its_sessions_and_gets_no_new_ones() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = with_first(&site, "weight: 0", "");
    assert_eq!(servers_of_new_clients(&burdock), ["web-2".to_owned()].into());
    assert_eq!(burdock.ask(&tied_to("web-1", "/tied")).served_by(), "web-1");
}

#[test]
fn a_server_in_maintenance_serves_no_session_and_all_move() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = with_first(&site, "state: maint", "");
    assert_eq!(servers_of_new_clients(&burdock), ["web-2".to_owned()].into());
    let moved = burdock.ask(&tied_to("web-1", "/tied"));
    assert_eq!((moved.served_by(), moved.cookie("BURDOCK_").unwrap().1), ("web-2", "web-2"));
    assert_eq!(burdock.log_line("/tied").reason(), "maint");
    assert!(origins[0].received().is_empty());
}

#[test]
fn maintenance_refusals_use_the_configured_status() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = with_first(&site, "state: maint", ", failover: {maint: {refuse: 507}}");
    let refused = burdock.ask(&tied_to("web-1", "/tied"));
    assert_eq!(refused.status, 507);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
}

#[test]
fn a_backup_serves_only_while_no_primary_does() {
    let site = Site::new();
    let _spare = site.origin(1);
    let mut primary = site.origin_process(2);
    let checks = ", health_check: {tcp: {}, interval: 200ms, timeout: 200ms, rise: 1, fall: 1}";
    let burdock = with_first(&site, "backup: true", checks);
    assert_eq!(servers_of_new_clients(&burdock), ["web-2".to_owned()].into());
    primary.kill();
    assert_eq!(burdock.get("/at-once").served_by(), "web-1", "a refused connection is enough");
    wait_until("the primary is down", || burdock.metrics().sum("burdock_server_up", &[("server", "web-2")]) == 0.0);
    assert_eq!(servers_of_new_clients(&burdock), ["web-1".to_owned()].into());
    let _restored = site.origin(2);
    wait_until("new clients go to the primary again", || burdock.get("/").served_by() == "web-2");
    assert_eq!(burdock.ask(&tied_to("web-1", "/tied")).served_by(), "web-1", "sessions of the backup stay there");
}

#[test]
fn sessions_of_a_full_server_move_temporarily_and_return() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = with_first(&site, "max_conns: 1", ", failover: {full: temporary}");
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    origins[0].respond_with(move |request| {
        if request.path() == "/long" {
            let _ = gate.lock().unwrap().recv();
        }
        Reply::status(200)
    });
    let mut long = Wire::open(burdock.listen);
    long.send(tied_to("web-1", "/long").bytes());
    wait_until("the long request reaches the server", || {
        origins[0].received().iter().any(|request| request.path() == "/long")
    });
    let lent = burdock.ask(&tied_to("web-1", "/lent"));
    assert_eq!((lent.served_by(), lent.set_cookies().len()), ("web-2", 0));
    assert_eq!(burdock.log_line("/lent").reason(), "full");
    drop(release);
    assert_eq!(long.response().served_by(), "web-1");
    wait_until("the slot is free", || burdock.ask(&tied_to("web-1", "/back")).served_by() == "web-1");
}

#[test]
fn hashing_the_client_address_ties_without_a_cookie() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.burdock(&format!(
        "listeners: [{{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}}]\n{}",
        crate::harness::shop(3, "balance: {hash: {key: client_ip}}")
    ));
    let ask = |client: u8| {
        let response = burdock.ask(&Request::get("/").header("X-Forwarded-For", &format!("203.0.113.{client}")));
        assert!(response.set_cookies().is_empty());
        response.served_by().to_owned()
    };
    let homes: Vec<_> = (0..30).map(ask).collect();
    assert_eq!(homes, (0..30).map(ask).collect::<Vec<_>>(), "each address has its server");
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 3, "{homes:?}");
}

#[test]
fn least_conn_sends_new_clients_to_the_less_busy_server() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\nbalance: least_conn");
    origins[0].respond_with(|request| if request.path() == "/long" { Reply::Silence } else { Reply::status(200) });
    let mut waiting: Vec<Wire> = Vec::new();
    wait_until("a request hangs at web-1", || {
        // One at a time: a request that is not placed yet could make web-2 busy later.
        if waiting.last().is_none_or(Wire::is_readable) {
            let mut wire = Wire::open(burdock.listen);
            wire.send(Request::get("/long").bytes());
            waiting.push(wire);
        }
        origins.iter().any(|origin| origin.name == "web-1" && !origin.received().is_empty())
    });
    let idle = || burdock.metrics().sum("burdock_server_in_flight_requests", &[("server", "web-2")]) == 0.0;
    for _ in 0..6 {
        wait_until("web-2 is idle", idle);
        assert_eq!(burdock.get("/").served_by(), "web-2");
    }
}

#[test]
fn balance_first_prefers_the_first_server() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, "balance: first");
    assert_eq!(servers_of_new_clients(&burdock), ["web-1".to_owned()].into());
}

#[test]
fn a_server_behind_a_unix_socket_serves_like_any_other() {
    let site = Site::new();
    let listener = std::os::unix::net::UnixListener::bind(site.path("app.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer_ok(stream));
        }
    });
    let burdock = site.burdock(
        "upstreams:
  shop:
    servers: ['unix:$DIR/app.sock']
    sticky: cookie
    health_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms}
",
    );
    let mut client = burdock.client();
    assert_eq!(client.get("/new").text(), "ok");
    assert_eq!(client.get("/tied").text(), "ok");
    assert_eq!(burdock.log_line("/tied").reason(), "hit");
}

/// Answers every request on a connection.
fn answer_ok(stream: std::os::unix::net::UnixStream) {
    use std::io::{BufRead, BufReader, Write};
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while lines.by_ref().map_while(Result::ok).any(|line| line.is_empty()) {
        if (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

#[test]
fn the_last_tenth_of_a_servers_slots_is_for_tied_sessions() {
    let site = Site::new();
    let origin = site.origin(1);
    let servers = "[{id: web-1, address: $IP:9001, max_conns: 10}]";
    let burdock =
        site.burdock(&format!("upstreams: {{shop: {{servers: {servers}, sticky: [{{cookie: {{token: plain}}}}]}}}}"));
    origin.respond_with(|request| if request.path() == "/long" { Reply::Silence } else { Reply::status(200) });
    let _held: Vec<Wire> = (1..=9)
        .map(|count| {
            let mut wire = burdock.wire();
            wire.send(Request::get("/long").bytes());
            wait_until("the request is in flight", || origin.received().len() == count);
            wire
        })
        .collect();
    assert_eq!(burdock.get("/new").status, 503);
    assert_eq!(burdock.log_line("/new").reason(), "no_server");
    assert_eq!(burdock.ask(&tied_to("web-1", "/tied")).status, 200);
}

#[test]
fn a_header_hash_chooses_where_a_session_starts() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(3, "balance: {hash: {key: 'header:X-Tenant'}}\nsticky: cookie");
    let start = |tenant: u8| {
        let response = burdock.ask(&Request::get("/").header("X-Tenant", &format!("tenant-{tenant}")));
        assert_eq!(response.set_cookies().len(), 1, "the cookie ties the session");
        response.served_by().to_owned()
    };
    let starts: Vec<_> = (0..20).map(start).collect();
    assert_eq!(starts, (0..20).map(start).collect::<Vec<_>>());
    assert_eq!(starts.iter().collect::<BTreeSet<_>>().len(), 3, "{starts:?}");
    assert_eq!(servers_of_new_clients(&burdock).len(), 3, "requests without a tenant rotate");
}

#[test]
fn every_slot_is_released_however_a_request_ends() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: cookie\ntimeouts: {read: 300ms}\nlimits: {body: 10}");
    origins[0].respond_with(|request| match request.path() {
        "/silence" => Reply::Silence,
        "/close" => Reply::Close,
        "/garbage" => Reply::Last(b"garbage\r\n\r\n".to_vec()),
        "/half" => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()),
        _ => Reply::status(200),
    });
    for path in ["/silence", "/close", "/garbage", "/half", "/fine"] {
        for method in ["GET", "POST"] {
            let mut wire = burdock.wire();
            wire.send(Request::new(method, path).body("").bytes());
            wire.head().unwrap();
        }
    }
    let mut wire = burdock.wire();
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n12345678901234567890\r\n");
    assert_eq!(wire.response().status, 413);
    wait_until("no request is in flight", || burdock.metrics().sum("burdock_server_in_flight_requests", &[]) == 0.0);
}

#[test]
fn a_server_is_identified_by_its_id_not_its_address() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let servers = "[{id: web-2, address: $IP:9001}, {id: web-1, address: $IP:9002}]";
    let burdock =
        site.burdock(&format!("upstreams: {{shop: {{servers: {servers}, sticky: [{{cookie: {{token: plain}}}}]}}}}"));
    assert_eq!(burdock.ask(&tied_to("web-1", "/")).served_by(), "web-2", "web-1 is now at the second address");
}
