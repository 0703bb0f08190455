//! What the API reports about a running Burdock.

use serde_json::{Value, json};

use crate::harness::{Request, Site, TokenCodec, shop, wait_until};

#[test]
fn a_server_reports_state_health_weight_and_load() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let servers = "upstreams: {shop: {sticky: [{cookie: {idle_timeout: 30m}}], servers: [
        {id: web-1, address: '$IP:9001', weight: 3, max_conns: 20},
        {id: web-2, address: '$IP:9002', state: drain, backup: true}]}}";
    let burdock = site.burdock(servers);
    let report = |id: &str| burdock.api().get(&format!("/upstreams/shop/servers/{id}"));
    assert_eq!(burdock.get("/").status, 200);
    wait_until("the request has ended", || report("web-1")["in_flight"] == 0);
    let one = report("web-1");
    let expected = json!({"upstream": "shop", "id": "web-1", "address": site.server(1).to_string(), "state": "ready",
        "health": "unchecked", "last_failure": null, "weight": 3, "max_conns": 20, "backup": false, "in_flight": 0, "waiting": 0,
        "sessions": {"learned": null, "by_token": 1},
        "answers": {"1xx": 0, "2xx": 1, "3xx": 0, "4xx": 0, "5xx": 0}});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&one[field], value, "{field}: {one}");
    }
    let two = report("web-2");
    assert_eq!((&two["state"], &two["backup"], &two["max_conns"]), (&json!("drain"), &json!(true), &Value::Null));
    let all = burdock.api().get("/upstreams/shop/servers");
    assert_eq!(all["servers"].as_array().unwrap().len(), 2);
    assert_eq!(all["servers"][0]["id"], "web-1");
}

#[test]
fn a_server_that_fails_its_checks_is_reported_down() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "health_check: {http: {path: /healthz}, interval: 100ms, timeout: 100ms, fall: 1, rise: 1}");
    let health = || burdock.api().get("/upstreams/shop/servers/web-1")["health"].clone();
    assert_eq!(health(), "up");
    origins[0].fail();
    wait_until("it is reported down", || health() == "down");
    assert_eq!(burdock.api().get("/upstreams/shop")["taking_new"], 1);
    assert_eq!(burdock.api().get("/upstreams/shop/servers/web-1")["last_failure"]["reason"], "health check");
}

#[test]
fn the_last_failure_is_reported_with_reason_and_time() {
    let site = Site::new();
    let origins = site.origins::<1>();
    let burdock = site.shop(2, "sticky: cookie");
    let last = |id: &str| burdock.api().get(&format!("/upstreams/shop/servers/{id}"))["last_failure"].clone();
    assert_eq!(last("web-2"), Value::Null);
    wait_until("web-2 was tried", || burdock.get("/").status == 200 && last("web-2") != Value::Null);
    let failure = last("web-2");
    assert_eq!(failure["reason"], "connect");
    assert!(failure["ago"].as_u64().unwrap() < 60 && failure["at"].as_u64().unwrap() > 1_700_000_000, "{failure}");
    origins[0].respond_with(|_| crate::harness::Reply::status(503));
    assert_eq!(burdock.get("/").status, 503);
    wait_until("the status is reported", || last("web-1")["reason"] == "status 503");
}

#[test]
fn upstreams_report_their_persistence_methods() {
    let site = Site::new();
    let burdock = site.shop(3, "sticky: [cookie, {hash: {key: client_ip}}]\nbalance: least_conn");
    let all = burdock.api().get("/upstreams");
    let one = &all["upstreams"][0];
    assert_eq!(one, &burdock.api().get("/upstreams/shop"));
    assert_eq!(one["sticky"], json!(["cookie BURDOCK_shop", "hash"]));
    assert_eq!((&one["balance"], &one["servers"], &one["taking_new"]), (&json!("least_conn"), &json!(3), &json!(3)));
}

#[test]
fn an_id_with_a_slash_is_percent_encoded() {
    let site = Site::new();
    let burdock = site.burdock("upstreams: {shop: {servers: ['unix:$DIR/web.sock']}}");
    let id = site.filled("unix:$DIR/web.sock");
    let encoded = id.replace('/', "%2F");
    assert_eq!(burdock.api().get(&format!("/upstreams/shop/servers/{encoded}"))["id"], id);
}

#[test]
fn an_etag_ignores_traffic_and_differs_between_servers() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let burdock = site.shop(2, "sticky: [{cookie: {idle_timeout: 30m}}]");
    let etag = |id: &str| {
        let response = burdock.api().ask(Request::get(&format!("/api/v1/upstreams/shop/servers/{id}")));
        response.header("etag").unwrap().to_owned()
    };
    let before = etag("web-1");
    burdock.get("/");
    assert_eq!(etag("web-1"), before);
    assert_ne!(etag("web-2"), before);
}

#[test]
fn explain_uses_the_live_state_and_leaves_no_trace() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let yaml = format!("keys: [{{file: $DIR/key}}]\n{}", shop(2, "sticky: [{cookie: {idle_timeout: 30m}}]"));
    let codec = TokenCodec::new(&site, "key", "shop");
    let burdock = site.burdock(&yaml);
    let token = codec.token("web-2", 10, 10);
    let request = json!({"host": "shop.example.com", "path": "/cart?x=1", "client": "192.0.2.7",
        "headers": [{"name": "Cookie", "value": format!("BURDOCK_shop={token}")}]});
    let response = burdock.api().send("POST", "/explain", &request);
    let explained = response.json();
    assert_eq!(
        (&explained["reason"], &explained["server"], &explained["method"]),
        (&json!("hit"), &json!("web-2"), &json!("cookie")),
        "{explained}"
    );
    assert!(
        explained.get("set_cookie").is_none() && !response.text().contains("BURDOCK_shop="),
        "no token is issued: {explained}"
    );
    let new_client = burdock.api().send("POST", "/explain", &json!({})).json();
    assert_eq!((&new_client["reason"], &new_client["status"]), (&json!("new"), &Value::Null));
    let servers = burdock.api().get("/upstreams/shop/servers");
    for server in servers["servers"].as_array().unwrap() {
        assert_eq!((&server["in_flight"], &server["sessions"]["by_token"]), (&json!(0), &json!(0)));
    }
    let wrong =
        burdock.api().send("POST", "/explain", &json!({"client": "nobody", "headers": [{"name": "a b", "value": "c"}]}));
    assert_eq!(wrong.status, 422);
    let places: Vec<_> = wrong.json()["errors"].as_array().unwrap().iter().map(|error| error["at"].clone()).collect();
    assert_eq!(places, ["headers[0].name", "client"]);
}

#[test]
fn the_served_openapi_document_matches_the_repository() {
    let site = Site::new();
    let burdock = site.shop(1, "sticky: cookie");
    let served = burdock.api().ask(Request::get("/api/v1/openapi.json"));
    let committed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).unwrap();
    assert!(served.body == committed, "{}", served.text());
    assert_eq!(served.json()["openapi"], "3.1.0");
}
