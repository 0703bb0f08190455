//! What is counted.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::io::Write;

use crate::harness::{Burdock, Site, wait_until};

fn busy(site: &Site) -> Burdock {
    let burdock = site.shop(3, "sticky: cookie\nhealth_check: {http: {path: /healthz}, interval: 1s, timeout: 1s}");
    let mut client = burdock.client();
    (0..4).for_each(|_| drop(client.get("/")));
    drop(burdock.get("/"));
    burdock
}

#[test]
fn every_decision_is_counted_under_its_reason() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let decisions = |reason: &str, method: &str| {
        burdock.metrics().sum("burdock_decisions_total", &[("upstream", "shop"), ("reason", reason), ("method", method)])
    };
    wait_until("all are counted", || decisions("hit", "cookie") == 3.0 && decisions("new", "none") == 2.0);
    let metrics = burdock.metrics();
    assert_eq!(metrics.sum("burdock_requests_total", &[]), 5.0);
    assert_eq!(metrics.sum("burdock_decisions_total", &[]), 5.0);
}

#[test]
fn what_the_issue_promises_is_there() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let text = burdock.exposition();
    for name in ["requests", "decisions", "redispatches", "malformed_requests"] {
        assert!(text.contains(&format!("# HELP burdock_{name}_total")), "{name}: {text}");
    }
    for family in ["burdock_build_info", "burdock_server_up", "burdock_server_in_flight_requests", "burdock_server_weight"] {
        assert!(text.contains(&format!("\n{family}{{")), "{family}: {text}");
    }
    let named: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).filter(|line| !line.starts_with("burdock_") && !line.starts_with("process_")).collect();
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn a_server_costs_at_most_12_series() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let mut series: BTreeMap<String, usize> = BTreeMap::new();
    for sample in burdock.metrics().samples() {
        if let Some(server) = sample.labels.get("server") {
            *series.entry(server.clone()).or_default() += 1;
            assert!(!sample.name.ends_with("_bucket"), "histograms are per upstream: {sample:?}");
        }
    }
    assert_eq!(series.keys().collect::<Vec<_>>(), ["web-1", "web-2", "web-3"]);
    assert!(series.values().all(|&count| count <= 12), "{series:?}");
}

#[test]
fn no_label_comes_from_a_request() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let odd = crate::harness::Request::new("BREW", "/unlikely-path").header("Host", "unlikely.example.com").header("User-Agent", "unlikely-agent");
    burdock.ask(&odd);
    burdock.line("/unlikely-path");
    let text = burdock.exposition();
    assert!(!text.contains("unlikely") && !text.contains("BREW"), "{text}");
}

#[test]
fn promtool_finds_nothing_to_say() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let checking = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut checking) = checking else {
        println!("SKIPPED: there is no promtool here; Debian has it in the package prometheus");
        return;
    };
    checking.stdin.take().unwrap().write_all(burdock.exposition().as_bytes()).unwrap();
    let output = checking.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn alive_and_ready_are_answered_on_the_admin_address() {
    let site = Site::take();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let status = |path: &str| crate::harness::Wire::open(burdock.admin).ask(&crate::harness::Request::get(path)).status;
    assert_eq!([status("/healthz"), status("/readyz"), status("/metrics"), status("/")], [200, 200, 200, 404]);
}
