//! A slow disk: only the answer to a change waits for it.

use std::path::PathBuf;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::harness::{Burdock, Response, Site, Successor, eventually, shop, wait_until};

const STICKY: &str = "sticky: cookie";
const WEB_1: &str = "/upstreams/shop/servers/web-1";
const WEB_2: &str = "/upstreams/shop/servers/web-2";

/// While this file exists, nothing reaches the disk.
struct BlockedDisk(PathBuf);

impl BlockedDisk {
    fn block(site: &Site) -> Self {
        Self(site.write("stuck", ""))
    }
}

impl Drop for BlockedDisk {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

fn start(site: &Site) -> Burdock {
    Burdock::start_with(site, &shop(2, STICKY), ("BURDOCK_SLOW_DISK", &site.filled("$DIR/stuck")))
}

/// Requests a change in a thread that waits for the answer.
fn request_change(burdock: &Burdock, path: &'static str, change: Value) -> JoinHandle<Response> {
    let api = burdock.api();
    std::thread::spawn(move || api.send("PATCH", path, &change))
}

/// A drain that is in force while its answer waits for the disk.
fn blocked_drain(site: &Site) -> (Burdock, BlockedDisk, JoinHandle<Response>) {
    let burdock = start(site);
    let stuck = BlockedDisk::block(site);
    let drain = request_change(&burdock, WEB_2, json!({"state": "drain"}));
    wait_until("the drain is in force", || drained(&burdock, "web-2"));
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
fn a_change_that_waits_for_the_disk_blocks_nothing_else() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let (mut burdock, stuck, drain) = blocked_drain(&site);
    assert!((0..6).all(|_| burdock.get("/").served_by() == "web-1"));
    let api = burdock.api();
    assert!(api.get("/config")["changes"]["shop"]["web-2"]["state"]["drain"].is_object());
    assert_eq!(api.get("/upstreams/shop/servers")["servers"].as_array().unwrap().len(), 2);
    assert_eq!(api.get("/diff")["differences"].as_array().unwrap().len(), 1);
    assert_eq!(burdock.readiness_status(), Some(200));
    let weight = request_change(&burdock, WEB_1, json!({"weight": 3}));
    wait_until("the next change is in force", || api.get(WEB_1)["weight"] == 3);
    assert!(burdock.reload(&site, &shop(3, STICKY)), "a reload is applied");
    let again = request_change(&burdock, WEB_2, json!({"state": "drain"}));
    // An answered change is on disk, so none is answered yet.
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
fn reloads_apply_while_an_earlier_one_waits_for_the_disk() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = start(&site);
    let stuck = BlockedDisk::block(&site);
    for servers in [1, 3, 2] {
        assert!(burdock.reload(&site, &shop(servers, STICKY)));
        let listed = burdock.api().get("/upstreams/shop/servers")["servers"].as_array().unwrap().len();
        assert!(listed >= servers.into(), "{listed}: removed servers keep their sessions");
    }
    assert_eq!(stored(&site), Value::Null);
    drop(stuck);
    wait_until("the removed servers are on disk", || stored(&site) != Value::Null);
}

#[test]
fn an_upgrade_waits_until_changes_are_on_disk() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let (mut burdock, stuck, drain) = blocked_drain(&site);
    let refused = burdock.api().send("POST", "/upgrade", &json!({"timeout": 1}));
    assert!(refused.status == 422 && refused.text().contains("disk"), "{}", refused.text());
    assert_eq!((burdock.get("/").status, burdock.exit_status()), (200, None));
    drop(stuck);
    assert_eq!(drain.join().unwrap().status, 200);
    let successor = Successor::of(&burdock);
    assert!(burdock.wait_for_exit().success());
    let changes = eventually("the successor answers", || successor.api().get("/config").get("changes").cloned());
    assert!(changes["shop"]["web-2"]["state"]["drain"].is_object(), "{changes}");
    assert_eq!(stored(&site)["changes"], changes);
}

#[test]
fn new_tables_work_while_the_disk_is_slow_and_persist_later() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let learn = |table: &str| {
        let entry = format!("{{create: 'set_cookie:JSESSIONID', lookup: 'cookie:JSESSIONID', table: {table}}}");
        format!("tables: {{{table}: {{idle_timeout: 1h}}}}\n{}", shop(2, &format!("sticky: [{{learn: {entry}}}]")))
    };
    let burdock = Burdock::start_with(&site, &learn("first"), ("BURDOCK_SLOW_DISK", &site.filled("$DIR/stuck")));
    let stuck = BlockedDisk::block(&site);
    let has_files = |table| site.path(&format!("state/sessions/{table}/journal.1")).exists();
    let warnings = || burdock.stderr().matches("the disk is slow").count();
    assert!(burdock.reload(&site, &learn("second")));
    assert!(has_files("second") && warnings() == 0, "its files exist without waiting for the disk");
    assert!(burdock.reload(&site, &learn("third")));
    assert_eq!(burdock.api().get("/tables")["tables"][0]["name"], "third");
    wait_until("the removal of the second waits for the disk, which is logged", || warnings() == 1);
    let drain = request_change(&burdock, WEB_2, json!({"state": "drain"}));
    wait_until("a change that concerns no table is in force", || drained(&burdock, "web-2"));
    assert!(!has_files("third") && warnings() == 1);
    drop(stuck);
    assert_eq!(drain.join().unwrap().status, 200);
    wait_until("the third has its files", || has_files("third"));
    let is_persisted = || burdock.metrics().sum("burdock_table_persisted", &[("table", "third")]) == 1.0;
    wait_until("the third is persisted", is_persisted);
}
