//! The metrics: what is counted, and under which labels.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Burdock, Reply, Site, wait_until};

fn busy(site: &Site) -> Burdock {
    let burdock = site.shop(3, "sticky: cookie\nhealth_check: {http: {path: /healthz}, interval: 1s, timeout: 1s}");
    let mut client = burdock.client();
    (0..4).for_each(|_| drop(client.get("/")));
    drop(burdock.get("/"));
    burdock
}

#[test]
fn every_decision_is_counted_under_its_reason() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let decisions = |reason: &str, method: &str| {
        burdock.metrics().sum("burdock_decisions_total", &[("upstream", "shop"), ("reason", reason), ("method", method)])
    };
    wait_until("all requests are counted", || decisions("hit", "cookie") == 3.0 && decisions("new", "none") == 2.0);
    let metrics = burdock.metrics();
    assert_eq!(metrics.sum("burdock_requests_total", &[]), 5.0);
    assert_eq!(metrics.sum("burdock_decisions_total", &[]), 5.0);
}

#[test]
fn core_metrics_exist_and_all_names_are_prefixed() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let text = burdock.exposition();
    for name in ["requests", "decisions", "redispatches", "malformed_requests"] {
        assert!(text.contains(&format!("# HELP burdock_{name}_total")), "{name}: {text}");
    }
    for family in ["burdock_build_info", "burdock_server_up", "burdock_server_state", "burdock_server_weight"] {
        assert!(text.contains(&format!("\n{family}{{")), "{family}: {text}");
    }
    let foreign: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter(|line| !line.starts_with("burdock_") && !line.starts_with("process_"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn a_server_costs_at_most_20_series() {
    let site = Site::new();
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
    assert!(series.values().all(|&count| count <= 20), "{series:?}");
}

#[test]
fn answers_are_counted_by_server_and_class() {
    let site = Site::new();
    let origins = site.origins::<2>();
    let burdock = site.shop(2, "balance: first\nretry: {when: [status_503]}");
    for status in [200, 204, 302, 404, 503] {
        origins[0].respond_with(move |_| Reply::status(status));
        burdock.get("/");
    }
    let counted = |server: &str, status: &str| {
        burdock.metrics().sum("burdock_server_responses_total", &[("server", server), ("status", status)])
    };
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    assert_eq!(classes.map(|class| counted("web-1", class)), [0.0, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(classes.map(|class| counted("web-2", class)), [0.0, 1.0, 0.0, 0.0, 0.0], "the retry's answer");
    assert_eq!(burdock.metrics().sum("burdock_server_responses_total", &[]), 6.0, "each answer counts once");
}

#[test]
fn the_process_is_measured_as_prometheus_libraries_do() {
    let site = Site::new();
    let burdock = site.shop(1, "");
    let value = |name: &str| burdock.metrics().sum(name, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", burdock.pid())).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let limit: f64 = limit.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(value("process_max_fds"), limit);
    let before = value("process_open_fds");
    let idle: Vec<_> = (0..50).map(|_| burdock.wire()).collect();
    // Those of readers of metrics come and go.
    wait_until("their descriptors are counted", || value("process_open_fds") >= before + 40.0);
    drop(idle);
    assert!(value("process_resident_memory_bytes") > 1_000_000.0 && value("process_threads") > 1.0);
    let age = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64() - value("process_start_time_seconds");
    assert!((-1.0..600.0).contains(&age), "{age}");
    wait_until("CPU time grows", || value("process_cpu_seconds_total") > 0.0);
}

#[test]
fn no_label_comes_from_a_request() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let odd = crate::harness::Request::new("BREW", "/unlikely-path")
        .header("Host", "unlikely.example.com")
        .header("User-Agent", "unlikely-agent");
    burdock.ask(&odd);
    burdock.log_line("/unlikely-path");
    let text = burdock.exposition();
    assert!(!text.contains("unlikely") && !text.contains("BREW"), "{text}");
}

#[test]
fn unrouted_requests_are_counted_under_route_none() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let burdock = site.shop(1, "sticky: cookie");
    let mut wire = burdock.wire();
    wire.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(wire.response().status, 400);
    let counted = || burdock.metrics().sum("burdock_requests_total", &[("route", "none"), ("status", "4xx")]);
    wait_until("the request is counted", || counted() == 1.0);
}

#[test]
fn promtool_accepts_the_metrics() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        println!("SKIPPED: promtool is not installed; Debian has it in the package prometheus");
        return;
    };
    promtool.stdin.take().unwrap().write_all(burdock.exposition().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && complaints.is_empty(), "{}", String::from_utf8_lossy(&complaints));
}

#[test]
fn the_admin_address_serves_liveness_readiness_and_metrics() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let status = |path: &str| crate::harness::Wire::open(burdock.admin).ask(&crate::harness::Request::get(path)).status;
    assert_eq!([status("/healthz"), status("/readyz"), status("/metrics"), status("/")], [200, 200, 200, 404]);
}

#[test]
fn open_connections_are_counted() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let burdock = busy(&site);
    let count = || burdock.metrics().sum("burdock_connections", &[]);
    wait_until("the earlier connections are gone", || count() == 0.0);
    let open: Vec<_> = (0..5).map(|_| burdock.wire()).collect();
    wait_until("the connections are counted", || count() == 5.0);
    drop(open);
    wait_until("the connections are gone", || count() == 0.0);
}

#[test]
fn redispatches_failures_and_health_changes_are_counted() {
    let site = Site::new();
    let servers = site.origins::<2>();
    let burdock = site.shop(
        2,
        "sticky: cookie\nhealth_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms, fall: 1, rise: 1}",
    );
    servers[0].respond_with(|_| Reply::Close);
    (0..4).for_each(|_| assert_eq!(burdock.get("/").status, 200));
    wait_until("two redispatches", || burdock.metrics().sum("burdock_redispatches_total", &[("upstream", "shop")]) == 2.0);
    assert_eq!(burdock.metrics().sum("burdock_server_failures_total", &[("server", "web-1")]), 2.0);
    let answered = || burdock.metrics().sum("burdock_server_requests_total", &[("server", "web-2"), ("tie", "new")]);
    wait_until("the last request is counted", || answered() == 4.0);
    servers[1].fail();
    wait_until("web-2 goes down", || {
        burdock.metrics().sum("burdock_server_health_changes_total", &[("server", "web-2"), ("to", "down")]) == 1.0
    });
    servers[1].respond_with(|_| Reply::status(200));
    wait_until("web-2 comes up", || {
        burdock.metrics().sum("burdock_server_health_changes_total", &[("server", "web-2"), ("to", "up")]) >= 1.0
    });
}

#[test]
fn requests_are_counted_by_route_and_status_class() {
    let site = Site::new();
    let servers = site.origins::<1>();
    let routes = "routes: [{name: front, match: {path_prefix: /shop}, upstream: shop}]";
    let burdock = site.burdock(&format!("{}{routes}", crate::harness::shop(1, "sticky: cookie\n")));
    servers[0].respond_with(|request| Reply::status(request.path()[6..].parse().unwrap()));
    for status in [200, 204, 304, 404, 500] {
        assert_eq!(burdock.get(&format!("/shop/{status}")).status, status);
    }
    let count = |class: &str| burdock.metrics().sum("burdock_requests_total", &[("route", "front"), ("status", class)]);
    wait_until("all requests are counted", || ["2xx", "3xx", "4xx", "5xx"].map(count) == [2.0, 1.0, 1.0, 1.0]);
}
