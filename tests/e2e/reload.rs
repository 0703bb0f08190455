//! Reloads: what a new configuration changes, what it keeps, and that an invalid one changes nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::harness::{Burdock, Reply, Request, Site, Wire, shop, wait_until};

const STICKY: &str = "sticky: cookie";

fn served(burdock: &Burdock, times: usize) -> BTreeSet<String> {
    (0..times).map(|_| burdock.get("/new").served_by().to_owned()).collect()
}

#[test]
fn a_reload_adds_servers_without_moving_sessions() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = site.shop(2, STICKY);
    let mut clients: Vec<_> = (0..10).map(|_| burdock.client()).collect();
    let before: Vec<String> = clients.iter_mut().map(|client| client.get("/").served_by().to_owned()).collect();
    assert!(burdock.reload(&site, &shop(3, STICKY)));
    let after: Vec<String> = clients.iter_mut().map(|client| client.get("/").served_by().to_owned()).collect();
    assert_eq!(before, after);
    assert!(served(&burdock, 6).contains("web-3"));
    burdock.wait_for_log("SIGHUP: server shop/web-3 added");
}

#[test]
fn a_removed_server_keeps_its_sessions_until_they_expire() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let sticky = "sticky: [{cookie: {idle_timeout: 2s}}]";
    let burdock = site.shop(2, sticky);
    let mut client = burdock.client_at("web-2");
    assert!(burdock.reload(&site, &shop(1, sticky)));
    assert_eq!(client.get("/tied").served_by(), "web-2");
    assert_eq!(burdock.log_line("/tied").reason(), "hit");
    assert_eq!(served(&burdock, 6), ["web-1".to_owned()].into());
    wait_until("the server is gone", || burdock.stderr().contains("removed, no sessions left: shop/web-2"));
    assert_eq!(client.get("/later").served_by(), "web-1");
}

#[test]
fn an_invalid_file_changes_nothing_and_reports_every_error() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, STICKY);
    let mut client = burdock.client_at("web-2");
    assert!(!burdock.reload(&site, "upstreams: {shop: {servers: [nowhere], blance: first}}"));
    ["nothing changed", "blance", "nowhere"].into_iter().for_each(|words| burdock.wait_for_log(words));
    assert_eq!(client.get("/").served_by(), "web-2");
    assert_eq!(served(&burdock, 4).len(), 2);
    std::fs::remove_file(site.path("burdock.yaml")).unwrap();
    burdock.signal("HUP");
    wait_until("the missing file is reported", || burdock.stderr().contains("cannot read"));
    assert!(burdock.reload(&site, &shop(1, STICKY)), "a valid file is applied afterwards");
}

#[test]
fn a_change_that_needs_a_new_process_refuses_the_whole_reload() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, STICKY);
    let other = format!("listeners: [\"$IP:8080\", \"$IP:8081\"]\n{}", shop(1, STICKY));
    assert!(!burdock.reload(&site, &other));
    burdock.wait_for_log("listeners changed, which needs a new process");
    assert_eq!(served(&burdock, 4).len(), 2, "the rest of it is not applied either");
}

#[test]
fn health_counters_and_requests_in_flight_survive_a_reload() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let checks = "health_check: {http: {path: /healthz}, interval: 10s, timeout: 1s, rise: 1, fall: 1}";
    let burdock = site.shop(2, checks);
    burdock.get("/");
    let (arrival, arrived) = std::sync::mpsc::channel();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    origins[0].respond_with(move |request| {
        if request.path() == "/slow" {
            let _ = arrival.send(());
            let _ = gate.lock().unwrap().recv();
        }
        Reply::status(200)
    });
    let listen = burdock.listen;
    let slow = std::thread::spawn(move || {
        (0..2).map(|_| Wire::open(listen).ask(&Request::get("/slow"))).find(|answer| answer.served_by() == "web-1")
    });
    arrived.recv().unwrap();
    let checked = origins[0].checks().len();
    let requests = burdock.metrics().sum("burdock_server_requests_total", &[]);
    assert!(burdock.reload(&site, &shop(2, &format!("{checks}\nbalance: least_conn"))));
    assert_eq!(burdock.metrics().sum("burdock_server_in_flight_requests", &[("server", "web-1")]), 1.0);
    assert!(burdock.metrics().sum("burdock_server_requests_total", &[]) >= requests);
    for _ in 0..3 {
        assert_eq!(burdock.get("/").served_by(), "web-2", "the slow request still counts");
        // The gauge goes down a moment after the client has the response.
        let in_flight = || burdock.metrics().sum("burdock_server_in_flight_requests", &[("server", "web-2")]);
        wait_until("the fast request has ended", || in_flight() == 0.0);
    }
    assert_eq!(origins[0].checks().len(), checked, "the reload starts no new check");
    release.send(()).unwrap();
    assert_eq!(slow.join().unwrap().unwrap().status, 200);
    wait_until("the slow request has ended", || {
        burdock.metrics().sum("burdock_server_in_flight_requests", &[("server", "web-1")]) == 0.0
    });
}

#[test]
fn learned_sessions_survive_a_table_resize_and_new_timeouts() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let site = Site::new();
    let origins = site.origins::<2>();
    for origin in &origins {
        origin.respond_with(|request| match request.header("cookie") {
            Some(cookie) if cookie.contains("JSESSIONID=") => Reply::status(200),
            _ => Reply::with("Set-Cookie", &format!("JSESSIONID=session-{:08}; Path=/", MADE.fetch_add(1, Relaxed))),
        });
    }
    let learn = "sticky: [{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', table: sessions}}]";
    let with = |table: &str| format!("tables: {{sessions: {table}}}\n{}", shop(2, learn));
    let burdock = site.burdock(&with("{idle_timeout: 1h}"));
    let mut clients: Vec<_> = (0..20).map(|_| burdock.client()).collect();
    let home: Vec<String> = clients.iter_mut().map(|client| client.get("/").served_by().to_owned()).collect();
    for table in ["{idle_timeout: 2h, capacity: 5000}", "{idle_timeout: 30m, capacity: 50000, persist: false}", "{}"] {
        assert!(burdock.reload(&site, &with(table)), "{}", burdock.stderr());
        let now: Vec<String> = clients.iter_mut().map(|client| client.get("/").served_by().to_owned()).collect();
        assert_eq!(home, now, "{table}");
    }
    assert_eq!(burdock.metrics().sum("burdock_table_sessions", &[("table", "sessions")]), 20.0);
}

#[test]
fn a_table_that_returns_has_its_stored_sessions() {
    let site = Site::new();
    let origins = site.origins::<2>();
    origins[0].respond_with(|_| Reply::with("Set-Cookie", "JSESSIONID=session-of-web-1; Path=/"));
    let learn = "sticky: [{learn: {create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID'}}]";
    let burdock = site.burdock(&shop(2, learn));
    while burdock.get("/").served_by() != "web-1" {}
    assert!(burdock.reload(&site, &shop(2, "balance: round_robin")));
    assert!(burdock.reload(&site, &shop(2, learn)));
    let tied = || burdock.ask(&Request::get("/").header("Cookie", "JSESSIONID=session-of-web-1"));
    assert!((0..4).all(|_| tied().served_by() == "web-1"));
    burdock.wait_for_log("1 sessions");
}

#[test]
fn tokens_stay_valid_until_a_reload_drops_their_key() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    for (file, key) in [("old", "17"), ("new", "18")] {
        site.write(file, &key.repeat(32));
    }
    let with = |keys: &str| format!("keys: [{keys}]\n{}", shop(2, STICKY));
    let (old, new) = ("{file: $DIR/old}", "{file: $DIR/new}");
    let burdock = site.burdock(&with(old));
    let mut client = burdock.client_at("web-2");
    assert!(burdock.reload(&site, &with(&format!("{new}, {old}"))));
    assert_eq!(client.get("/kept").served_by(), "web-2");
    assert_eq!(burdock.log_line("/kept").reason(), "hit");
    burdock.wait_for_log("the sealing key changed from ");
    assert!(burdock.reload(&site, &with(new)));
    client.get("/dropped");
    assert_eq!(burdock.log_line("/dropped").reason(), "unknown_key");
}

#[test]
fn a_watched_file_is_reloaded_when_it_changes() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let process = "process: {threads: 2, state_dir: $DIR/state, runtime_dir: $DIR/run, watch: 50ms}\n";
    let burdock = site.burdock(&format!("{process}{}", shop(1, STICKY)));
    let whole = crate::harness::with_defaults(&format!("{process}{}", shop(2, STICKY)));
    site.write("next.yaml", &whole);
    std::fs::rename(site.path("next.yaml"), site.path("burdock.yaml")).unwrap();
    wait_until("the new server is used", || burdock.get("/").served_by() == "web-2");
}
