//! Servers discovered through a real DNS server: changed, missing and late answers, and what happens to sessions.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};

use crate::harness::{Burdock, Dns, Origin, Site, burdock, eventually, wait_until, with_defaults};

const PORT: u16 = 9001;
/// Answers expire quickly.
const QUICK: &str = "min_ttl: 100ms, max_ttl: 200ms, timeout: 500ms";

/// A configuration whose only upstream has these servers, resolved by `dns`.
fn shop(dns: &Dns, times: &str, servers: &str, settings: &str) -> String {
    let settings: String = settings.lines().map(|line| format!("    {line}\n")).collect();
    format!("dns: {{servers: ['{}'], {times}}}\nupstreams:\n  shop:\n    servers: {servers}\n{settings}", dns.address())
}

/// Sites next to the test's own, each with a server on the same port.
fn neighbours<const COUNT: usize>() -> [(Site, Origin); COUNT] {
    std::array::from_fn(|n| {
        let site = Site::new();
        let origin = Origin::start(["a", "b", "c", "d"][n], site.at(PORT));
        (site, origin)
    })
}

fn hosts<'o>(origins: impl IntoIterator<Item = &'o Origin>) -> String {
    origins.into_iter().map(|origin| format!("{} app.internal\n", origin.address.ip())).collect()
}

/// The ids of the servers that are up.
fn servers(burdock: &Burdock) -> BTreeSet<String> {
    let metrics = burdock.metrics();
    let up = metrics.samples().iter().filter(|sample| sample.name == "burdock_server_up" && sample.value == 1.0);
    up.map(|sample| sample.labels["server"].clone()).collect()
}

/// The servers that answer new clients, with enough requests for each to have its turn.
fn answering(burdock: &Burdock) -> BTreeSet<String> {
    (0..12).map(|_| burdock.client().get("/").served_by().to_owned()).collect()
}

fn ids(of: &[&Origin]) -> BTreeSet<String> {
    of.iter().map(|origin| format!("app.internal:{PORT}@{}", origin.address.ip())).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_address_of_a_name_is_a_server() {
    let site = Site::new();
    let six = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
    let port = six.port();
    let _origins = [Origin::start("six", six), Origin::start("four", site.at(port))];
    let mut dns = Dns::new(&site);
    dns.serve(&format!("{} app.internal\n::1 app.internal\n", site.at(port).ip()), "");
    let name = format!("app.internal:{port}");
    let burdock = site.burdock(&shop(&dns, QUICK, &format!("[{name}]"), "sticky: cookie"));
    assert_eq!(servers(&burdock), [format!("{name}@{}", site.at(port).ip()), format!("{name}@[::1]")].into());
    assert_eq!(answering(&burdock), set(&["four", "six"]));
    assert_eq!(burdock.metrics().sum("burdock_dns_addresses", &[("name", &name)]), 2.0);
    assert!(burdock.metrics().sum("burdock_dns_lookups_total", &[("name", &name), ("result", "answered")]) >= 1.0);
    assert!(burdock.metrics().sum("burdock_dns_answer_timestamp_seconds", &[("name", &name)]) > 1.7e9);
}

#[test]
fn lookups_can_be_limited_to_one_address_family() {
    let site = Site::new();
    let _origin = Origin::start("four", site.at(PORT));
    let mut dns = Dns::new(&site);
    dns.serve(&format!("{} app.internal\n::1 app.internal\n", site.at(PORT).ip()), "");
    let burdock = site.burdock(&shop(&dns, &format!("{QUICK}, family: ipv4"), "[app.internal:9001]", ""));
    assert_eq!(servers(&burdock), [format!("app.internal:{PORT}@{}", site.at(PORT).ip())].into());
    assert_eq!(dns.query_count("[AAAA] app.internal"), 0);
}

#[test]
fn servers_follow_dns_answers_and_sessions_stay() {
    let site = Site::new();
    let [(_a, a), (_b, b), (_c, c)] = &neighbours::<3>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a, b]), "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", "sticky: cookie"));
    let (mut of_a, mut of_b) = (burdock.client_at("a"), burdock.client_at("b"));
    dns.serve(&hosts([c, b]), "");
    wait_until("c serves", || answering(&burdock) == set(&["b", "c"]));
    // `a` leaves like a server that is removed from the configuration.
    assert_eq!(servers(&burdock), ids(&[a, b, c]));
    for _ in 0..4 {
        assert_eq!((of_a.get("/").served_by(), of_b.get("/").served_by()), ("a", "b"));
    }
    let log = burdock.stderr();
    let (came, went) = (format!("+{}", c.address), format!("-{}", a.address));
    assert!(log.contains(&format!("app.internal:9001: {came} {went}")), "{log}");
    dns.serve(&hosts([b, a]), "");
    wait_until("a serves again", || answering(&burdock) == set(&["a", "b"]));
    assert_eq!(of_a.get("/").served_by(), "a");
}

#[test]
fn a_reordered_answer_changes_nothing() {
    let site = Site::new();
    let [(_a, a), (_b, b)] = &neighbours::<2>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a, b]), "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", "sticky: cookie"));
    dns.serve(&hosts([b, a]), "");
    let before = dns.query_count("[A] app.internal");
    // dnsmasq also rotates the records by itself.
    wait_until("some answers", || dns.query_count("[A] app.internal") >= before + 4);
    let changes = burdock.stderr().lines().filter(|line| line.contains("app.internal:9001: ")).count();
    assert_eq!(changes, 1, "{}", burdock.stderr());
}

#[test]
fn srv_records_set_port_priority_and_weight() {
    let site = Site::new();
    let origins = site.origins::<3>();
    let record = |n: u16, priority: u16, weight: u16| {
        format!("srv-host=_http._tcp.app.internal,web.internal,{},{priority},{weight}\n", site.server(n).port())
    };
    let mut dns = Dns::new(&site);
    let hosts = format!("{} web.internal\n", site.server(1).ip());
    dns.serve(&hosts, &(record(1, 10, 60) + &record(2, 10, 20) + &record(3, 20, 5)));
    let burdock = site.burdock(&shop(&dns, QUICK, "[{srv: _http._tcp.app.internal, id: app}]", ""));
    let id = |n: u16| format!("app@{}", site.server(n));
    assert_eq!(servers(&burdock), [1, 2, 3].map(id).into());
    let weight = |n| burdock.metrics().sum("burdock_server_weight", &[("server", &id(n))]);
    assert_eq!([1, 2, 3].map(weight), [3.0, 1.0, 1.0]);
    (0..8).for_each(|_| assert_eq!(burdock.get("/").status, 200));
    assert_eq!([0, 1, 2].map(|n: usize| origins[n].received().len()), [6, 2, 0], "the backup is unused");
    dns.serve(&hosts, &record(3, 20, 5));
    wait_until("the backup serves", || burdock.get("/").served_by() == "web-3");
}

#[test]
fn the_last_good_answer_stays_until_another_arrives() {
    let site = Site::new();
    let [(_a, a), (_b, b)] = &neighbours::<2>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a]), "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
    let result = |result| burdock.metrics().sum("burdock_dns_lookups_total", &[("result", result)]);
    // The DNS server is down.
    dns.stop();
    wait_until("failures", || result("failed") >= 2.0);
    assert_eq!(answering(&burdock), set(&["a"]));
    // The DNS server answers that the name does not exist.
    dns.serve("", "");
    wait_until("empty answers", || result("nothing") >= 2.0);
    assert_eq!(answering(&burdock), set(&["a"]));
    let log = burdock.stderr();
    assert_eq!(log.matches("lookup failed, keeping the last known servers").count(), 1, "{log}");
    // The name exists again, with a different address.
    dns.serve(&hosts([b]), "");
    wait_until("the new answer is used", || answering(&burdock) == set(&["b"]));
    wait_until("the recovery is logged", || burdock.stderr().contains("app.internal:9001: lookup succeeded again"));
}

#[test]
fn a_service_keeps_the_addresses_of_an_unresolved_target() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let services = "srv-host=_http._tcp.app.internal,web-1.internal,9001,1,1\nsrv-host=_http._tcp.app.internal,web-2.elsewhere,9002,1,1\n";
    let ip = site.server(1).ip();
    let both = format!("{ip} web-1.internal\n{ip} web-2.elsewhere\n");
    let mut dns = Dns::new(&site);
    dns.serve(&both, services);
    let burdock =
        site.burdock(&shop(&dns, &format!("{QUICK}, family: ipv4"), "[{srv: _http._tcp.app.internal, id: app}]", ""));
    let all: BTreeSet<String> = [1, 2].map(|n| format!("app@{}", site.server(n))).into();
    assert_eq!(servers(&burdock), all);
    // It has no record for `elsewhere` and no server to forward the query to.
    dns.serve(&format!("{ip} web-1.internal\n"), services);
    wait_until("partial answers", || burdock.metrics().sum("burdock_dns_lookups_total", &[("result", "partly")]) >= 2.0);
    assert_eq!(servers(&burdock), all);
    assert_eq!(answering(&burdock), set(&["web-1", "web-2"]));
}

#[test]
fn an_unresolved_name_has_no_servers_and_is_retried() {
    let site = Site::new();
    let [(_a, a)] = &neighbours::<1>();
    let mut dns = Dns::new(&site);
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
    assert_eq!(burdock.get("/none").status, 503);
    assert_eq!(burdock.log_line("/none").text("reason"), "no_server");
    dns.serve(&hosts([a]), "");
    wait_until("it serves", || burdock.get("/").status == 200);
}

#[test]
fn startup_waits_for_a_name_that_resolves_late() {
    let site = Site::new();
    let [(_beside, origin)] = neighbours();
    let mut dns = Dns::new(&site);
    dns.serve("", "");
    let burdock =
        Burdock::launch(&site, &shop(&dns, "timeout: 500ms", &format!("[app.internal:{PORT}]"), "sticky: cookie"), &[]);
    wait_until("the name was denied", || dns.query_count("[A] app.internal") > 0);
    dns.serve(&hosts([&origin]), "");
    wait_until("it is ready", || burdock.readiness_status() == Some(200));
    assert_eq!(burdock.get("/").served_by(), "a");
}

#[test]
fn an_answer_expires_by_its_ttl_within_the_bounds() {
    let (slow, quick) = (Site::new(), Site::new());
    let mut dns = Dns::new(&slow);
    let names =
        |names: &[&str]| names.iter().map(|name| format!("{} {name}.internal\n", slow.at(PORT).ip())).collect::<String>();
    dns.serve(&names(&["short", "long"]), "local-ttl=0");
    // A TTL of zero is raised to the lower bound.
    let _slow = slow.burdock(&shop(&dns, "min_ttl: 1h, max_ttl: 1h, family: ipv4", "[short.internal:9001]", ""));
    let _quick = quick.burdock(&shop(&dns, &format!("{QUICK}, family: ipv4"), "[long.internal:9001]", ""));
    wait_until("some queries", || dns.query_count("[A] long.internal") >= 4);
    assert_eq!(dns.query_count("[A] short.internal"), 1);
    // A TTL of an hour is cut to the upper bound.
    dns.serve(&names(&["short", "long"]), "local-ttl=3600");
    let before = dns.query_count("[A] long.internal");
    wait_until("some queries", || dns.query_count("[A] long.internal") >= before + 6);
    // A TTL of a second is used as it is.
    let site = Site::new();
    dns.serve(&names(&["second"]), "local-ttl=1");
    let _burdock = site.burdock(&shop(&dns, "min_ttl: 100ms, max_ttl: 1h, family: ipv4", "[second.internal:9001]", ""));
    let started = std::time::Instant::now();
    wait_until("three queries", || dns.query_count("[A] second.internal") >= 3);
    assert!(started.elapsed() >= std::time::Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[test]
fn an_answer_too_long_for_udp_arrives_complete() {
    let site = Site::new();
    let mut dns = Dns::new(&site);
    let many: String = (0..200).map(|n| format!("127.77.{}.{} app.internal\n", n / 100, n % 100 + 1)).collect();
    dns.serve(&many, "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
    assert_eq!(servers(&burdock).len(), 200);
}

#[test]
fn discovered_servers_are_checked_under_their_name() {
    let site = Site::new();
    let [(_a, a), (_b, b)] = &neighbours::<2>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a]), "");
    let check = "health_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms}";
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", check));
    // Readiness implies a finished check, so the first request finds a server.
    assert_eq!(burdock.get("/").served_by(), "a");
    assert_eq!(a.checks()[0].header("host"), Some("app.internal:9001"));
    dns.serve(&hosts([a, b]), "");
    wait_until("b serves", || answering(&burdock) == set(&["a", "b"]));
    b.fail();
    wait_until("b is down", || answering(&burdock) == set(&["a"]));
    assert_eq!(b.checks()[0].header("host"), Some("app.internal:9001"));
}

#[test]
fn a_name_shared_by_upstreams_is_looked_up_once() {
    let site = Site::new();
    let [(_a, a)] = &neighbours::<1>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a]), "local-ttl=3600");
    let burdock = site.burdock(&format!(
        "dns: {{servers: ['{}'], family: ipv4}}\n\
         upstreams: {{one: {{servers: [app.internal:9001]}}, two: {{servers: [app.internal:9001, '127.0.0.1:1']}}}}\n\
         routes: [{{upstream: one}}, {{match: {{path_prefix: /two}}, upstream: two}}]\n",
        dns.address()
    ));
    assert_eq!((burdock.get("/").status, burdock.get("/two").status), (200, 200));
    assert_eq!(dns.query_count("[A] app.internal"), 1);
}

#[test]
fn check_and_explain_make_no_dns_queries() {
    let site = Site::new();
    let mut dns = Dns::new(&site);
    let address: SocketAddr = site.at(PORT);
    dns.serve(&format!("{} app.internal\n", address.ip()), "");
    let file = site.write("named.yaml", &with_defaults(&shop(&dns, QUICK, "[app.internal:9001]", "")));
    let file = file.to_str().unwrap();
    burdock(["check", "-c", file]).ok();
    let explained = burdock(["explain", "-c", file, "http://shop/"]).ok().stdout;
    assert!(explained.contains("no_server") && explained.contains("app.internal:9001"), "{explained}");
    assert_eq!(dns.query_count("[A] app.internal"), 0);
    let _: Burdock = eventually("a running Burdock makes queries", || {
        let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
        (dns.query_count("[A] app.internal") > 0).then_some(burdock)
    });
}

#[test]
fn lookups_follow_the_reloaded_configuration() {
    let site = Site::new();
    let [(_a, a)] = &neighbours::<1>();
    let mut dns = Dns::new(&site);
    let ip = a.address.ip();
    dns.serve(&format!("{ip} app.internal\n{ip} new.internal\n"), "");
    let text = |servers: &str| shop(&dns, &format!("{QUICK}, family: ipv4"), servers, "sticky: cookie");
    let burdock = site.burdock(&text("[app.internal:9001]"));
    let mut client = burdock.client();
    assert_eq!(client.get("/").served_by(), "a");
    site.write("burdock.yaml", &with_defaults(&text("[new.internal:9001]")));
    burdock.signal("HUP");
    wait_until("the new name is found", || servers(&burdock).contains(&format!("new.internal:{PORT}@{ip}")));
    // The old server leaves once its sessions end, and its name is no longer looked up.
    assert_eq!(client.get("/").status, 200);
    wait_until("the old name is no longer counted", || {
        burdock.metrics().sum("burdock_dns_addresses", &[("name", "app.internal:9001")]) == 0.0
    });
    let (old, new) = (dns.query_count("[A] app.internal"), dns.query_count("[A] new.internal"));
    wait_until("lookups of the new name continue", || dns.query_count("[A] new.internal") >= new + 4);
    assert!(dns.query_count("[A] app.internal") <= old + 1);
}
