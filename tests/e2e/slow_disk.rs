//! A disk that takes its time: whoever changes something waits for it, and nobody else.

use std::path::PathBuf;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::harness::{Burdock, Response, Site, Successor, eventually, shop, wait_until};

const STICKY: &str = "sticky: cookie";
const WEB_1: &str = "/upstreams/shop/servers/web-1";
const WEB_2: &str = "/upstreams/shop/servers/web-2";

/// Nothing reaches the disk as long as this file is there.
struct Stuck(PathBuf);

impl Stuck {
    fn disk(site: &Site) -> Self {
        Self(site.write("stuck", ""))
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn start(site: &Site) -> Burdock {
    Burdock::start_with(site, &shop(2, STICKY), ("BURDOCK_SLOW_DISK", &site.filled("$DIR/stuck")))
}

/// Asks for a change, and waits for the answer elsewhere.
fn ask(burdock: &Burdock, path: &'static str, wish: Value) -> JoinHandle<Response> {
    let api = burdock.api();
    std::thread::spawn(move || api.send("PATCH", path, &wish))
}

/// A drain that is in force, and whose answer waits for the disk.
fn held_drain(site: &Site) -> (Burdock, Stuck, JoinHandle<Response>) {
    let burdock = start(site);
    let stuck = Stuck::disk(site);
    let drain = ask(&burdock, WEB_2, json!({"state": "drain"}));
    wait_until("it is in force", || drained(&burdock, "web-2"));
    (burdock, stuck, drain)
}

fn drained(burdock: &Burdock, server: &str) -> bool {
    burdock.api().get("/drains")["drains"].as_array().unwrap().iter().any(|drain| drain["server"] == server)
}

fn stored(site: &Site) -> Value {
    let text = std::fs::read_to_string(site.path("state/changes.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

#[test]
fn while_a_change_waits_for_the_disk_everybody_else_goes_on() {
    let site = Site::take();
    let _origins = site.origins::<2>();
    let (mut burdock, stuck, drain) = held_drain(&site);
    assert!((0..6).all(|_| burdock.get("/").served_by() == "web-1"));
    let api = burdock.api();
    assert!(api.get("/config")["changes"]["shop"]["web-2"]["state"]["drain"].is_object());
    assert_eq!(api.get("/upstreams/shop/servers")["servers"].as_array().unwrap().len(), 2);
    assert_eq!(api.get("/diff")["differences"].as_array().unwrap().len(), 1);
    assert_eq!(burdock.readiness(), Some(200));
    let weight = ask(&burdock, WEB_1, json!({"weight": 3}));
    wait_until("so is the next change", || api.get(WEB_1)["weight"] == 3);
    assert!(burdock.reload(&site, &shop(3, STICKY)), "so is another configuration");
    let again = ask(&burdock, WEB_2, json!({"state": "drain"}));
    // Whoever is answered can rely on it.
    assert!(!drain.is_finished() && !weight.is_finished() && !again.is_finished());
    assert_eq!(stored(&site), Value::Null);
    drop(stuck);
    for answer in [drain, weight, again].map(|change| change.join().unwrap()) {
        assert_eq!((answer.status, &answer.json()["warning"]), (200, &Value::Null), "{}", answer.text());
    }
    burdock.kill();
    let burdock = site.burdock(&shop(2, STICKY));
    assert!(drained(&burdock, "web-2"));
    assert_eq!(burdock.api().get(WEB_1)["weight"], 3);
}

#[test]
fn a_configuration_is_taken_up_while_the_one_before_waits_for_the_disk() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = start(&site);
    let stuck = Stuck::disk(&site);
    for servers in [1, 3, 2] {
        assert!(burdock.reload(&site, &shop(servers, STICKY)));
        let named = burdock.api().get("/upstreams/shop/servers")["servers"].as_array().unwrap().len();
        assert!(named >= servers.into(), "{named}: those that leave keep their sessions");
    }
    assert_eq!(stored(&site), Value::Null);
    drop(stuck);
    wait_until("that servers leave is on disk", || stored(&site) != Value::Null);
}

#[test]
fn a_successor_comes_when_what_was_changed_is_on_disk_and_not_before() {
    let site = Site::take();
    let _origins = site.origins::<2>();
    let (mut burdock, stuck, drain) = held_drain(&site);
    let refused = burdock.api().send("POST", "/upgrade", &json!({"timeout": 1}));
    assert!(refused.status == 422 && refused.text().contains("disk"), "{}", refused.text());
    assert_eq!((burdock.get("/").status, burdock.has_ended()), (200, None));
    drop(stuck);
    assert_eq!(drain.join().unwrap().status, 200);
    let successor = Successor::of(&burdock);
    assert!(burdock.leaves().success());
    let wanted = eventually("it answers", || successor.api().get("/config").get("changes").cloned());
    assert!(wanted["shop"]["web-2"]["state"]["drain"].is_object(), "{wanted}");
    assert_eq!(stored(&site)["changes"], wanted);
}

#[test]
fn new_tables_are_at_work_while_the_disk_is_slow_and_are_kept_once_it_is_not() {
    let site = Site::take();
    let _origins = site.origins::<2>();
    let learn = |table: &str| {
        let entry = format!("{{create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', table: {table}}}");
        format!("tables: {{{table}: {{idle_timeout: 1h}}}}\n{}", shop(2, &format!("sticky: [{{learn: {entry}}}]")))
    };
    let burdock = Burdock::start_with(&site, &learn("first"), ("BURDOCK_SLOW_DISK", &site.filled("$DIR/stuck")));
    let stuck = Stuck::disk(&site);
    let is_kept = |table| site.path(&format!("state/sessions/{table}/journal.1")).exists();
    let late = || burdock.stderr().matches("the disk is slow").count();
    assert!(burdock.reload(&site, &learn("second")));
    assert!(is_kept("second") && late() == 0, "its files need not be on disk");
    assert!(burdock.reload(&site, &learn("third")));
    assert_eq!(burdock.api().get("/tables")["tables"][0]["name"], "third");
    wait_until("the end of the second waits for the disk, and that is told", || late() == 1);
    let drain = ask(&burdock, WEB_2, json!({"state": "drain"}));
    wait_until("what has to do with no table is in force", || drained(&burdock, "web-2"));
    assert!(!is_kept("third") && late() == 1);
    drop(stuck);
    assert_eq!(drain.join().unwrap().status, 200);
    wait_until("it has its files", || is_kept("third"));
    let kept = || burdock.metrics().sum("burdock_table_persisted", &[("table", "third")]) == 1.0;
    wait_until("the last is kept", kept);
}
