//! Session tables as operators see them.

use serde_json::{Value, json};

use crate::harness::{Burdock, Origin, ReceivedRequest, Reply, Request, Response, Site, shop};

const LEARN: &str = "sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID, table: sessions}}]\n";
const TABLES: &str = "tables: {sessions: {capacity: 1000, idle_timeout: 1h}}\n";

fn application(request: &ReceivedRequest) -> Reply {
    match request.target().split_once('?') {
        Some(("/login", cookie)) => Reply::with("Set-Cookie", cookie),
        Some(_) | None => Reply::status(200),
    }
}

fn learning(site: &Site) -> ([Origin; 2], Burdock) {
    let origins = site.origins();
    origins.iter().for_each(|origin: &Origin| origin.respond_with(application));
    (origins, site.burdock(&format!("{}{TABLES}", shop(2, LEARN))))
}

fn login(burdock: &Burdock, name: &str) -> String {
    burdock.get(&format!("/login?JSESSIONID={name}")).served_by().to_owned()
}

fn find(burdock: &Burdock, name: &str) -> Response {
    burdock.api().send("POST", "/tables/sessions/sessions/find", &json!({"id": name}))
}

fn list(burdock: &Burdock, query: &str) -> Vec<Value> {
    burdock.api().get(&format!("/tables/sessions/sessions{query}"))["sessions"].as_array().unwrap().clone()
}

#[test]
fn a_table_reports_its_sessions_per_server() {
    let site = Site::new();
    let (_origins, burdock) = learning(&site);
    (0..6).for_each(|n| drop(login(&burdock, &format!("session-{n}"))));
    let table = burdock.api().get("/tables/sessions");
    assert_eq!((&table["sessions"], &table["capacity"], &table["idle_timeout"]), (&json!(6), &json!(1000), &json!(3600)));
    assert_eq!(table["persistence"], "on");
    let servers = table["servers"].as_array().unwrap();
    assert!(servers.iter().all(|server| server["sessions"] == 3), "{servers:?}");
    assert_eq!(burdock.api().get("/tables")["tables"][0]["name"], "sessions");
}

#[test]
fn a_session_is_found_by_its_id_without_logging_it() {
    let site = Site::new();
    let (_origins, burdock) = learning(&site);
    let server = login(&burdock, "a-secret-session-id");
    let found = find(&burdock, "a-secret-session-id").json();
    assert_eq!((&found["server"], &found["established"]), (&json!(server), &json!(false)));
    assert_eq!(find(&burdock, "another").status, 404);
    assert_eq!(
        find(&burdock, "a-secret-session-id").json()["established"],
        false,
        "a lookup does not count as a request of the session"
    );
    assert!(!burdock.stderr().contains("a-secret-session-id"));
}

#[test]
fn sessions_are_listed_by_server_and_in_pages() {
    let site = Site::new();
    let (_origins, burdock) = learning(&site);
    let at_one = (0..20).filter(|n| login(&burdock, &format!("session-{n}")) == "web-1").count();
    assert_eq!(list(&burdock, "").len(), 20);
    assert_eq!(list(&burdock, "?server=web-1&upstream=shop").len(), at_one);
    assert_eq!(list(&burdock, "?server=nobody").len(), 0);
    assert_eq!(list(&burdock, "?older_than=1000").len(), 0);
    let mut seen = Vec::new();
    let mut next = Some(String::new());
    while let Some(cursor) = next {
        let page = burdock.api().get(&format!("/tables/sessions/sessions?limit=7{cursor}"));
        seen.extend(page["sessions"].as_array().unwrap().iter().map(|session| session["fingerprint"].to_string()));
        next = page["next"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 20);
    for wrong in ["?limit=0", "?limit=10001", "?cursor=x", "?prefix=xyz", "?limit=many", "?colour=red", "?server=a,b"] {
        let refused = burdock.api().ask(Request::get(&format!("/api/v1/tables/sessions/sessions{wrong}")));
        assert_eq!(refused.status, 400, "{wrong}");
    }
}

#[test]
fn a_session_can_be_deleted_and_the_audit_names_the_user() {
    let site = Site::new();
    let (_origins, burdock) = learning(&site);
    login(&burdock, "session-one");
    login(&burdock, "session-two");
    let fingerprint = find(&burdock, "session-one").json()["fingerprint"].as_str().unwrap().to_owned();
    let path = format!("/tables/sessions/sessions/{fingerprint}");
    let forget = || burdock.api().ask(Request::new("DELETE", &format!("/api/v1{path}")));
    assert_eq!(forget().json()["fingerprint"], fingerprint);
    assert_eq!(forget().status, 404);
    assert_eq!((find(&burdock, "session-one").status, find(&burdock, "session-two").status), (404, 200));
    let short = burdock.api().ask(Request::new("DELETE", "/api/v1/tables/sessions/sessions/0123"));
    assert_eq!(short.status, 400);
    let log = burdock.stderr();
    let audit: Vec<_> = log.lines().filter(|line| line.contains("audit: ")).collect();
    assert!(matches!(&*audit, [line] if line.contains("audit: uid ") && line.contains(&fingerprint)), "{log}");
}

#[test]
fn all_sessions_of_a_server_can_be_deleted() {
    let site = Site::new();
    let (_origins, burdock) = learning(&site);
    let at_one = (0..10).filter(|n| login(&burdock, &format!("session-{n}")) == "web-1").count();
    let forget =
        |server: &str| burdock.api().send("POST", "/tables/sessions/sessions/forget-server", &json!({"server": server}));
    assert_eq!(forget("web-1").json()["forgotten"], at_one);
    assert_eq!(list(&burdock, "").len(), 10 - at_one);
    assert_eq!(forget("nobody").status, 404);
    burdock.wait_for_log("sessions of web-1 forgotten");
}
