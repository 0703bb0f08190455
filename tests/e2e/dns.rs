//! Servers that are found by name, with a real DNS server: what it says, what it does not say, and what becomes of sessions.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};

use crate::harness::{Burdock, Dns, Origin, Site, burdock, complete, eventually, wait_until};

const PORT: u16 = 9001;
/// Answers are good for a moment only.
const QUICK: &str = "min_ttl: 100ms, max_ttl: 200ms, timeout: 500ms";

/// A configuration whose only upstream has these servers, by `dns`.
fn shop(dns: &Dns, times: &str, servers: &str, settings: &str) -> String {
    let settings: String = settings.lines().map(|line| format!("    {line}\n")).collect();
    format!("dns: {{servers: ['{}'], {times}}}\nupstreams:\n  shop:\n    servers: {servers}\n{settings}", dns.address())
}

/// Sites beside the test's own, each with a server on the same port.
fn neighbours<const COUNT: usize>() -> [(Site, Origin); COUNT] {
    std::array::from_fn(|n| {
        let site = Site::take();
        let origin = Origin::start(["a", "b", "c", "d"][n], site.at(PORT));
        (site, origin)
    })
}

fn hosts<'o>(origins: impl IntoIterator<Item = &'o Origin>) -> String {
    origins.into_iter().map(|origin| format!("{} app.internal\n", origin.address.ip())).collect()
}

/// The ids of the servers that there are.
fn servers(burdock: &Burdock) -> BTreeSet<String> {
    let metrics = burdock.metrics();
    let up = metrics.samples().iter().filter(|sample| sample.name == "burdock_server_up" && sample.value == 1.0);
    up.map(|sample| sample.labels["server"].clone()).collect()
}

/// Who answers new clients, asked often enough that everybody has his turn.
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
    let site = Site::take();
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
fn a_family_may_be_left_out() {
    let site = Site::take();
    let _origin = Origin::start("four", site.at(PORT));
    let mut dns = Dns::new(&site);
    dns.serve(&format!("{} app.internal\n::1 app.internal\n", site.at(PORT).ip()), "");
    let burdock = site.burdock(&shop(&dns, &format!("{QUICK}, family: ipv4"), "[app.internal:9001]", ""));
    assert_eq!(servers(&burdock), [format!("app.internal:{PORT}@{}", site.at(PORT).ip())].into());
    assert_eq!(dns.asked("[AAAA] app.internal"), 0);
}

#[test]
fn servers_come_and_go_with_the_answer_and_sessions_stay() {
    let site = Site::take();
    let [(_a, a), (_b, b), (_c, c)] = &neighbours::<3>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a, b]), "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", "sticky: cookie"));
    let (mut of_a, mut of_b) = (burdock.client_at("a"), burdock.client_at("b"));
    dns.serve(&hosts([c, b]), "");
    wait_until("c serves", || answering(&burdock) == set(&["b", "c"]));
    // `a` leaves as a server does that is taken out of the configuration.
    assert_eq!(servers(&burdock), ids(&[a, b, c]));
    for _ in 0..4 {
        assert_eq!((of_a.get("/").served_by(), of_b.get("/").served_by()), ("a", "b"));
    }
    let said = burdock.stderr();
    let (came, went) = (format!("+{}", c.address), format!("-{}", a.address));
    assert!(said.contains(&format!("app.internal:9001: {came} {went}")), "{said}");
    dns.serve(&hosts([b, a]), "");
    wait_until("a serves again", || answering(&burdock) == set(&["a", "b"]));
    assert_eq!(of_a.get("/").served_by(), "a");
}

#[test]
fn another_order_of_addresses_changes_nothing() {
    let site = Site::take();
    let [(_a, a), (_b, b)] = &neighbours::<2>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a, b]), "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", "sticky: cookie"));
    dns.serve(&hosts([b, a]), "");
    let before = dns.asked("[A] app.internal");
    // dnsmasq turns the records round by itself, too.
    wait_until("some answers", || dns.asked("[A] app.internal") >= before + 4);
    let changes = burdock.stderr().lines().filter(|line| line.contains("app.internal:9001: ")).count();
    assert_eq!(changes, 1, "{}", burdock.stderr());
}

#[test]
fn services_say_their_ports_priorities_and_weights() {
    let site = Site::take();
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
    assert_eq!([0, 1, 2].map(|n: usize| origins[n].received().len()), [6, 2, 0], "the backup rests");
    dns.serve(&hosts, &record(3, 20, 5));
    wait_until("the backup is the best that there is", || burdock.get("/").served_by() == "web-3");
}

#[test]
fn the_last_good_answer_is_kept_while_there_is_no_other() {
    let site = Site::take();
    let [(_a, a), (_b, b)] = &neighbours::<2>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a]), "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
    let result = |result| burdock.metrics().sum("burdock_dns_lookups_total", &[("result", result)]);
    // Nobody answers.
    dns.stop();
    wait_until("failures", || result("failed") >= 2.0);
    assert_eq!(answering(&burdock), set(&["a"]));
    // The answer is that there is no such name.
    dns.serve("", "");
    wait_until("empty answers", || result("nothing") >= 2.0);
    assert_eq!(answering(&burdock), set(&["a"]));
    let said = burdock.stderr();
    assert_eq!(said.matches("cannot be looked up, so what was found last counts").count(), 1, "{said}");
    // There is one again, and it is another.
    dns.serve(&hosts([b]), "");
    wait_until("the new answer counts", || answering(&burdock) == set(&["b"]));
    wait_until("it is said", || burdock.stderr().contains("app.internal:9001 is looked up again"));
}

#[test]
fn a_service_keeps_the_addresses_of_a_target_that_is_not_answered_for() {
    let site = Site::take();
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
    // For `elsewhere` it has no answer of its own, and nobody to ask.
    dns.serve(&format!("{ip} web-1.internal\n"), services);
    wait_until("partial answers", || burdock.metrics().sum("burdock_dns_lookups_total", &[("result", "partly")]) >= 2.0);
    assert_eq!(servers(&burdock), all);
    assert_eq!(answering(&burdock), set(&["web-1", "web-2"]));
}

#[test]
fn a_name_that_was_never_found_has_no_servers_and_is_looked_up_again() {
    let site = Site::take();
    let [(_a, a)] = &neighbours::<1>();
    let mut dns = Dns::new(&site);
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
    assert_eq!(burdock.get("/none").status, 503);
    assert_eq!(burdock.line("/none").text("reason"), "no_server");
    dns.serve(&hosts([a]), "");
    wait_until("it serves", || burdock.get("/").status == 200);
}

#[test]
fn whoever_is_found_only_a_moment_after_the_start_is_waited_for() {
    let site = Site::take();
    let [(_beside, origin)] = neighbours();
    let mut dns = Dns::new(&site);
    dns.serve("", "");
    let burdock =
        Burdock::launch(&site, &shop(&dns, "timeout: 500ms", &format!("[app.internal:{PORT}]"), "sticky: cookie"), &[]);
    wait_until("it was denied", || dns.asked("[A] app.internal") > 0);
    dns.serve(&hosts([&origin]), "");
    wait_until("it is ready", || burdock.readiness() == Some(200));
    assert_eq!(burdock.get("/").served_by(), "a");
}

#[test]
fn an_answer_is_good_for_its_time_within_the_bounds() {
    let (slow, quick) = (Site::take(), Site::take());
    let mut dns = Dns::new(&slow);
    let names =
        |names: &[&str]| names.iter().map(|name| format!("{} {name}.internal\n", slow.at(PORT).ip())).collect::<String>();
    dns.serve(&names(&["short", "long"]), "local-ttl=0");
    // Records of no time are good for the lower bound.
    let _slow = slow.burdock(&shop(&dns, "min_ttl: 1h, max_ttl: 1h, family: ipv4", "[short.internal:9001]", ""));
    let _quick = quick.burdock(&shop(&dns, &format!("{QUICK}, family: ipv4"), "[long.internal:9001]", ""));
    wait_until("some questions", || dns.asked("[A] long.internal") >= 4);
    assert_eq!(dns.asked("[A] short.internal"), 1);
    // Records of an hour are good for the upper one.
    dns.serve(&names(&["short", "long"]), "local-ttl=3600");
    let before = dns.asked("[A] long.internal");
    wait_until("some questions", || dns.asked("[A] long.internal") >= before + 6);
    // Records of a second are good for a second.
    let site = Site::take();
    dns.serve(&names(&["second"]), "local-ttl=1");
    let _burdock = site.burdock(&shop(&dns, "min_ttl: 100ms, max_ttl: 1h, family: ipv4", "[second.internal:9001]", ""));
    let begun = std::time::Instant::now();
    wait_until("three questions", || dns.asked("[A] second.internal") >= 3);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

#[test]
fn an_answer_that_is_too_long_for_udp_comes_whole() {
    let site = Site::take();
    let mut dns = Dns::new(&site);
    let many: String = (0..200).map(|n| format!("127.77.{}.{} app.internal\n", n / 100, n % 100 + 1)).collect();
    dns.serve(&many, "");
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
    assert_eq!(servers(&burdock).len(), 200);
}

#[test]
fn servers_that_are_found_are_checked_each_by_its_name() {
    let site = Site::take();
    let [(_a, a), (_b, b)] = &neighbours::<2>();
    let mut dns = Dns::new(&site);
    dns.serve(&hosts([a]), "");
    let check = "health_check: {http: {path: /healthz}, interval: 200ms, timeout: 200ms}";
    let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", check));
    // Ready means that it has been checked, so the first request has its server.
    assert_eq!(burdock.get("/").served_by(), "a");
    assert_eq!(a.checks()[0].header("host"), Some("app.internal:9001"));
    dns.serve(&hosts([a, b]), "");
    wait_until("b serves", || answering(&burdock) == set(&["a", "b"]));
    b.ill();
    wait_until("b is down", || answering(&burdock) == set(&["a"]));
    assert_eq!(b.checks()[0].header("host"), Some("app.internal:9001"));
}

#[test]
fn one_name_serves_several_upstreams_and_is_looked_up_once() {
    let site = Site::take();
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
    assert_eq!(dns.asked("[A] app.internal"), 1);
}

#[test]
fn whoever_only_reads_a_configuration_asks_nobody() {
    let site = Site::take();
    let mut dns = Dns::new(&site);
    let address: SocketAddr = site.at(PORT);
    dns.serve(&format!("{} app.internal\n", address.ip()), "");
    let file = site.write("named.yaml", &complete(&shop(&dns, QUICK, "[app.internal:9001]", "")));
    let file = file.to_str().unwrap();
    burdock(["check", "-c", file]).ok();
    let told = burdock(["explain", "-c", file, "http://shop/"]).ok().stdout;
    assert!(told.contains("no_server") && told.contains("app.internal:9001"), "{told}");
    assert_eq!(dns.asked("[A] app.internal"), 0);
    let _: Burdock = eventually("it asks when it runs", || {
        let burdock = site.burdock(&shop(&dns, QUICK, "[app.internal:9001]", ""));
        (dns.asked("[A] app.internal") > 0).then_some(burdock)
    });
}

#[test]
fn look_ups_follow_the_configuration() {
    let site = Site::take();
    let [(_a, a)] = &neighbours::<1>();
    let mut dns = Dns::new(&site);
    let ip = a.address.ip();
    dns.serve(&format!("{ip} app.internal\n{ip} new.internal\n"), "");
    let text = |servers: &str| shop(&dns, &format!("{QUICK}, family: ipv4"), servers, "sticky: cookie");
    let burdock = site.burdock(&text("[app.internal:9001]"));
    let mut client = burdock.client();
    assert_eq!(client.get("/").served_by(), "a");
    site.write("burdock.yaml", &complete(&text("[new.internal:9001]")));
    burdock.signal("HUP");
    wait_until("the new name is found", || servers(&burdock).contains(&format!("new.internal:{PORT}@{ip}")));
    // Its server leaves with its sessions, and is asked for no more.
    assert_eq!(client.get("/").status, 200);
    wait_until("nobody counts the old name", || {
        burdock.metrics().sum("burdock_dns_addresses", &[("name", "app.internal:9001")]) == 0.0
    });
    let (old, new) = (dns.asked("[A] app.internal"), dns.asked("[A] new.internal"));
    wait_until("the new one goes on", || dns.asked("[A] new.internal") >= new + 4);
    assert!(dns.asked("[A] app.internal") <= old + 1);
}
