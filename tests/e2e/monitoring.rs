//! What `deploy/prometheus` and `deploy/grafana` expect of the metrics: a real Prometheus scrapes a Burdock, and every query
//! returns data. Nothing tests how Grafana draws it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Burdock, CommandOutput, Origin, ReceivedRequest, Reply, Request, Site, Wire, run, wait_until};

const SHOP: &str = "
upstreams:
  shop:
    servers: [{id: web-1, address: '$IP:9001', max_conns: 50}, {id: web-2, address: '$IP:9002', max_conns: 50}]
    sticky: [{cookie: {idle_timeout: 10m}}]
    health_check: {http: {path: /healthz}, interval: 100ms, timeout: 100ms, fall: 1, rise: 1}
    passive_health: {}
  app:
    servers: [{id: app-1, address: '$IP:9003'}, {id: app-2, address: '$IP:9004'}]
    sticky: [{learn: {create: set_cookie:SID, lookup: cookie:SID, table: logins}}]
tables: {logins: {capacity: 1000}}
routes: [{match: {path_prefix: /app}, upstream: app}, {upstream: shop}]
";

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// Runs promtool on a deployed file; its error messages name the file.
fn promtool(args: &[&str], file: &str) -> CommandOutput {
    run(Command::new("promtool").args(args).arg(deployed(file))).ok()
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    promtool(&["check", "config"], "prometheus/prometheus.yml");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], "prometheus/burdock.rules.yml");
    promtool(&["test", "rules"], "prometheus/burdock.rules.test.yml");
}

#[test]
fn every_alert_is_tested_and_documented() {
    let tests = fs::read_to_string(deployed("prometheus/burdock.rules.test.yml")).unwrap();
    let page = fs::read_to_string(deployed("../docs/monitoring.md")).unwrap();
    let alerts: Vec<String> = rules().iter().filter_map(|rule| Some(rule["alert"].as_str()?.to_owned())).collect();
    assert!(alerts.len() > 12, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("        alertname: {alert}\n        exp_alerts:\n")), "no test makes {alert} fire");
        assert!(page.contains(&format!("### {alert}\n")), "{alert} is not documented");
    }
}

#[test]
fn every_panel_has_a_title_description_and_unit() {
    let panels = panels();
    assert!(panels.len() > 15, "{panels:?}");
    for panel in panels {
        for text in [&panel["title"], &panel["description"], &panel["fieldConfig"]["defaults"]["unit"]] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{panel}");
        }
    }
}

#[test]
fn every_rule_and_dashboard_query_returns_data() {
    let site = Site::new();
    let mut origins: Vec<Origin> = (1..=4).map(|n| site.origin(n)).collect();
    origins[2..].iter().for_each(|origin| origin.respond_with(login));
    let burdock = site.burdock(SHOP);
    let prometheus = Prometheus::start(&site);
    let mut shopper = burdock.client_at("web-2");
    generate_traffic(&burdock, &prometheus);
    drop(origins.remove(1));
    prometheus.until("ALERTS{alertname=\"BurdockServerDown\", server=\"web-2\", alertstate=\"firing\"}");
    assert_eq!(shopper.get("/").served_by(), "web-1");
    assert!(burdock.reload(&site, &SHOP.replace("max_conns: 50", "max_conns: 60")));
    for query in queries() {
        let query = query.replace("$__rate_interval", "1m").replace("$upstream", ".*");
        wait_until(&format!("data for {query}"), || {
            generate_traffic(&burdock, &prometheus);
            prometheus.has_data(&query)
        });
    }
    // An alert's expression returns data only while the alert is due, so it must merely be valid.
    for rule in rules().iter().filter(|rule| rule.get("alert").is_some()) {
        prometheus.ask(rule["expr"].as_str().unwrap());
    }
}

/// An application that starts a session for each request without one.
fn login(request: &ReceivedRequest) -> Reply {
    if request.head.contains("SID=") { Reply::status(200) } else { Reply::with("Set-Cookie", "SID=4711") }
}

/// Sends requests of new clients, known clients and a learned session, and waits until a scrape has seen them.
fn generate_traffic(burdock: &Burdock, prometheus: &Prometheus) {
    let mut client = burdock.client();
    (0..3).for_each(|_| assert_eq!(client.get("/").status, 200));
    let mut client = burdock.client();
    (0..3).for_each(|_| assert_eq!(client.get("/app").status, 200));
    let scraped = || prometheus.value("timestamp(up)");
    let before = scraped();
    wait_until("a scrape", || scraped() != before);
}

/// The queries of all recording rules, both their expressions and their names, and of all panels.
fn queries() -> Vec<String> {
    let rules = rules();
    let recorded = rules.iter().filter(|rule| rule.get("record").is_some());
    let recorded = recorded.flat_map(|rule| [&rule["record"], &rule["expr"]]).cloned().collect::<Vec<_>>();
    let targets = panels().into_iter().flat_map(|panel| panel["targets"].as_array().unwrap().clone());
    let panel_queries = targets.map(|target| target["expr"].clone());
    let all: Vec<String> =
        recorded.into_iter().chain(panel_queries).map(|query| query.as_str().unwrap().to_owned()).collect();
    assert!(all.len() > 40, "{all:?}");
    all
}

fn rules() -> Vec<Value> {
    let text = fs::read_to_string(deployed("prometheus/burdock.rules.yml")).unwrap();
    let file: Value = serde_yaml::from_str(&text).unwrap();
    file["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The panels of the dashboard, without row headings.
fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_slice(&fs::read(deployed("grafana/dashboard.json")).unwrap()).unwrap();
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").cloned().collect()
}

/// A Prometheus with the deployed rules that scrapes the site's Burdock five times a second; alerts that wait a minute wait a
/// second here. Killed when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn start(site: &Site) -> Self {
        let address = site.at(9090);
        let example = fs::read_to_string(deployed("prometheus/prometheus.yml")).unwrap();
        let rules = fs::read_to_string(deployed("prometheus/burdock.rules.yml")).unwrap();
        site.write("burdock.rules.yml", &rules.replace("for: 1m\n", "for: 1s\n"));
        let adapted = example.replace("15s", "200ms").replace("127.0.0.1:9180", &site.admin().to_string());
        let config = site.write("prometheus.yml", &adapted);
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", site.path("prometheus").display()));
        command.arg(format!("--web.listen-address={address}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let prometheus = Self { child: child.expect("prometheus is installed by scripts/install"), address };
        wait_until("prometheus is ready", || {
            let ready = Wire::try_open(address).and_then(|mut wire| wire.try_ask(&Request::get("/-/ready")));
            ready.is_ok_and(|response| response.status == 200)
        });
        prometheus.until("up == 1");
        prometheus
    }

    /// The result of a query now.
    ///
    /// # Panics
    /// If the query is invalid.
    fn ask(&self, query: &str) -> Vec<Value> {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let response = Wire::open(self.address).ask(&Request::get(&format!("/api/v1/query?query={encoded}")));
        assert_eq!(response.status, 200, "{query}: {}", response.text());
        response.json()["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    fn has_data(&self, query: &str) -> bool {
        !self.ask(query).is_empty()
    }

    fn value(&self, query: &str) -> Option<String> {
        self.ask(query).first().and_then(|sample| sample["value"][1].as_str()).map(str::to_owned)
    }

    fn until(&self, query: &str) {
        wait_until(query, || self.has_data(query));
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
