//! Runtime changes by an operator.

use serde_json::{Value, json};

use crate::harness::{Burdock, Request, Response, Site, shop, wait_until, with_json};

const STICKY: &str = "sticky: [{cookie: {idle_timeout: 30m}}]\n";
const ONE: &str = "/upstreams/shop/servers/web-1";

fn patch(burdock: &Burdock, path: &str, wanted: &Value) -> Response {
    burdock.api().send("PATCH", path, wanted)
}

fn server(burdock: &Burdock, id: &str) -> Value {
    burdock.api().get(&format!("/upstreams/shop/servers/{id}"))
}

fn delete(burdock: &Burdock, path: &str) -> Response {
    burdock.api().ask(Request::new("DELETE", &format!("/api/v1{path}")))
}

#[test]
fn patch_sets_state_weight_and_limit_and_null_resets_them() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, STICKY);
    let changed = patch(&burdock, ONE, &json!({"state": "drain", "weight": 7, "max_conns": 100}));
    assert_eq!(changed.status, 200, "{changed:?}");
    let updated = changed.json()["server"].clone();
    assert_eq!((&updated["state"], &updated["weight"], &updated["max_conns"]), (&json!("drain"), &json!(7), &json!(100)));
    assert_eq!(updated, server(&burdock, "web-1"));
    (0..4).for_each(|_| assert_eq!(burdock.get("/").served_by(), "web-2"));
    let none = patch(&burdock, ONE, &json!({"max_conns": "none"})).json();
    assert_eq!((&none["server"]["max_conns"], &none["server"]["weight"]), (&Value::Null, &json!(7)));
    let reset = patch(&burdock, ONE, &json!({"state": null, "weight": null, "max_conns": null})).json();
    assert_eq!((&reset["server"]["state"], &reset["server"]["weight"]), (&json!("ready"), &json!(1)));
    assert_eq!(burdock.api().get("/diff")["differences"], json!([]));
}

#[test]
fn every_change_is_audited_with_user_server_and_both_values() {
    let site = Site::new();
    let burdock = site.shop(2, STICKY);
    patch(&burdock, ONE, &json!({"weight": 7}));
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let log = burdock.stderr();
    let line = log.lines().find(|line| line.contains("audit: ")).unwrap_or_else(|| panic!("{log}"));
    for part in [&format!("uid {uid}"), "shop/web-1", "weight", "1", "7"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn an_invalid_change_names_its_field_and_changes_nothing() {
    let site = Site::new();
    let burdock = site.shop(2, STICKY);
    let refused = |wanted: Value| {
        let response = patch(&burdock, ONE, &wanted);
        assert_eq!(response.status, 422, "{wanted}: {response:?}");
        response.json()
    };
    assert_eq!(refused(json!({"weight": 257}))["errors"][0]["at"], "weight");
    assert_eq!(refused(json!({"deadline": 10}))["errors"][0]["at"], "deadline");
    assert_eq!(refused(json!({"state": "drain", "then": "move"}))["errors"][0]["at"], "then");
    for wrong in [json!({"weight": -1}), json!({"max_conns": 0}), json!({"max_conns": "many"}), json!({"state": "asleep"})] {
        refused(wrong);
    }
    assert_eq!(server(&burdock, "web-1")["weight"], 1);
    assert_eq!(patch(&burdock, "/upstreams/shop/servers/nobody", &json!({})).status, 404);
    assert_eq!(patch(&burdock, "/upstreams/none/servers/web-1", &json!({})).status, 404);
}

#[test]
fn a_change_with_a_stale_etag_is_refused() {
    let site = Site::new();
    let burdock = site.shop(2, STICKY);
    let etag = |path: &str| burdock.api().ask(Request::get(&format!("/api/v1{path}"))).header("etag").unwrap().to_owned();
    let seen = etag(ONE);
    let change = |etag: &str, weight: u32| {
        burdock.api().ask(with_json("PATCH", ONE, &json!({"weight": weight})).header("If-Match", etag))
    };
    assert_eq!(change(&seen, 2).status, 200);
    let late = change(&seen, 3);
    assert_eq!((late.status, late.json()["title"].clone()), (412, json!("Precondition Failed")));
    assert_eq!(server(&burdock, "web-1")["weight"], 2);
    let removed = burdock.api().ask(Request::new("DELETE", &format!("/api/v1{ONE}")).header("If-Match", &seen));
    assert_eq!(removed.status, 412);
    assert_eq!(change(&format!("\"other\", {}", etag(ONE)), 4).status, 200);
    assert_eq!(change("*", 5).status, 200);
}

#[test]
fn an_added_server_takes_sessions_and_keeps_them_until_removed_now() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(1, STICKY);
    let new = json!({"id": "web-2", "address": site.server(2).to_string(), "weight": 1});
    let added = burdock.api().send("POST", "/upstreams/shop/servers", &new);
    assert_eq!((added.status, added.header("location")), (201, Some("/api/v1/upstreams/shop/servers/web-2")));
    assert_eq!(added.json()["server"]["source"], "run_time");
    assert_eq!(server(&burdock, "web-1")["source"], "file");
    let again = burdock.api().send("POST", "/upstreams/shop/servers", &new);
    assert_eq!(again.status, 409);
    let mut client = burdock.client_at("web-2");
    let removed = delete(&burdock, "/upstreams/shop/servers/web-2");
    assert_eq!((removed.status, &removed.json()["server"]["state"]), (200, &json!("leaving")));
    assert_eq!(client.get("/").served_by(), "web-2");
    let gone = delete(&burdock, "/upstreams/shop/servers/web-2?now=true");
    assert_eq!((gone.status, &gone.json()["server"]), (200, &Value::Null));
    assert_eq!(client.get("/").served_by(), "web-1");
    let listener = json!({"address": burdock.listen.to_string()});
    for wrong in [json!({"address": "nowhere"}), json!({"address": "10.0.0.1:80", "id": "a,b"}), json!({}), listener] {
        assert_eq!(burdock.api().send("POST", "/upstreams/shop/servers", &wrong).status, 422, "{wrong}");
    }
}

#[test]
fn changes_survive_a_restart_appear_in_diff_and_can_be_reset() {
    let site = Site::new();
    let mut first = site.shop(2, STICKY);
    patch(&first, ONE, &json!({"weight": 7}));
    patch(&first, "/upstreams/shop/servers/web-2", &json!({"state": "maint"}));
    first.signal("TERM");
    first.wait_for_exit_and_output();
    let second = site.shop(2, STICKY);
    assert_eq!(server(&second, "web-1")["weight"], 7);
    let diff = second.api().get("/diff");
    let about: Vec<_> = diff["differences"].as_array().unwrap().iter().map(|entry| entry["about"].clone()).collect();
    assert_eq!(about, ["server shop/web-1", "server shop/web-2"]);
    let config = second.api().get("/config");
    assert!(config["text"].as_str().unwrap().contains("web-1"));
    assert_eq!(config["changes"]["shop"]["web-1"]["weight"], 7, "{config}");
    let reset = |of: Value| second.api().send("POST", "/reset", &of).json()["dropped"].clone();
    assert_eq!(reset(json!({"of": {"upstream": "shop", "server": "web-1"}})), 1);
    assert_eq!(server(&second, "web-1")["weight"], 1);
    assert_eq!((reset(json!({})), reset(json!({}))), (json!(1), json!(0)));
    assert_eq!(server(&second, "web-2")["state"], "ready");
}

#[test]
fn a_long_poll_ends_when_the_drain_is_complete() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let burdock = site.shop(2, "sticky: [{cookie: {idle_timeout: 1s}}]\n");
    let drain = |query: &str| burdock.api().get(&format!("{ONE}/drain{query}"));
    assert_eq!(drain("?wait=30s")["stage"], "serving", "no drain to wait for");
    drop(burdock.client_at("web-1"));
    patch(&burdock, ONE, &json!({"state": "drain", "deadline": 3600, "then": "move"}));
    let begun = drain("");
    assert_eq!((&begun["stage"], &begun["idle_time"]), (&json!("draining"), &json!(1)), "{begun}");
    assert!(begun["deadline"].as_u64().unwrap() > 3_500);
    assert_eq!(burdock.api().get("/drains")["drains"][0]["server"], "web-1");
    assert_eq!(drain("?wait=30s")["stage"], "complete");
    for wrong in ["?wait=61s", "?wait=-1", "?wait=", "?wait=1h", "?long=1"] {
        let refused = burdock.api().ask(Request::get(&format!("/api/v1{ONE}/drain{wrong}")));
        assert_eq!(refused.status, 400, "{wrong}");
    }
}

#[test]
fn a_reload_reports_what_it_applied_and_refuses_a_bad_file() {
    let site = Site::new();
    let yaml = shop(2, STICKY);
    let burdock = site.burdock(&yaml);
    let rewrite = |yaml: &str| drop(site.write("burdock.yaml", &crate::harness::with_defaults(yaml)));
    let reload = |how: Value| burdock.api().send("POST", "/reload", &how);
    rewrite(&shop(3, STICKY));
    let dry = reload(json!({"dry_run": true})).json();
    assert_eq!((&dry["applied"], &dry["differences"][0]["about"]), (&json!(false), &json!("server shop/web-3")), "{dry}");
    assert_eq!(burdock.api().get("/upstreams/shop")["servers"], 2);
    assert_eq!(reload(json!({})).json()["applied"], true);
    assert_eq!(burdock.api().get("/upstreams/shop")["servers"], 3);
    rewrite(&yaml.replace("cookie:", "biscuit:"));
    let refused = reload(json!({}));
    assert_eq!(refused.status, 409);
    assert!(refused.json()["errors"][0]["detail"].as_str().unwrap().contains("biscuit"), "{refused:?}");
    rewrite(&format!("access_log: {{to: off}}\n{yaml}"));
    assert_eq!(reload(json!({})).status, 409, "a changed access log needs a new process");
    let partial = reload(json!({"partial": true})).json();
    assert_eq!((&partial["applied"], &partial["needs_upgrade"]), (&json!(true), &json!(["access_log"])), "{partial}");
}

#[test]
fn a_reload_replaces_the_admin_token() {
    let site = Site::new();
    let burdock = super::access::open(&site, STICKY);
    let status = |token: &str| {
        let request = Request::get("/api/v1/version").header("Host", &burdock.admin.to_string());
        crate::harness::Wire::open(burdock.admin).ask(&request.header("Authorization", &format!("Bearer {token}"))).status
    };
    let other = "another-token-that-is-hard-to-guess";
    super::access::write_token(&site, other);
    assert_eq!((status(super::access::TOKEN), status(other)), (200, 401));
    assert_eq!(burdock.api().send("POST", "/reload", &json!({})).status, 200);
    assert_eq!((status(super::access::TOKEN), status(other)), (401, 200));
    super::access::write_token(&site, "short");
    assert_eq!(burdock.api().send("POST", "/reload", &json!({})).status, 409);
    assert_eq!(status(other), 200);
}

#[test]
fn a_process_shutting_down_is_readable_but_refuses_changes() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let yaml = format!(
        "process: {{threads: 2, state_dir: $DIR/state, runtime_dir: $DIR/run, shutdown: {{lame_duck: 20s, grace: 10s}}}}\n{}",
        shop(1, STICKY)
    );
    let burdock = site.burdock(&yaml);
    burdock.signal("TERM");
    wait_until("it is shutting down", || burdock.api().get("/version")["readiness"] == "leaving");
    assert_eq!(patch(&burdock, ONE, &json!({"weight": 7})).status, 503);
    assert_eq!(server(&burdock, "web-1")["weight"], 1);
}
