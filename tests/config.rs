//! The configuration as a user sees it: files that are valid, and the errors and warnings for those that are not.

// Clippy does not recognize the helpers below as test code.
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "config/newcomers.rs"]
mod newcomers;

use std::path::{Path, PathBuf};

use burdock::config::{Config, Errors};
use burdock::http::cookie::CookieName;
use burdock::http::set_cookie::SameSite;
use burdock::session::token_format::TokenFormat;
use burdock::source::Place;
use burdock::sticky::method::MethodSpec;
use burdock::upstream::balance::Balance;
use burdock::upstream::discovery::{Bounds, DnsServers, Family};
use burdock::upstream::failover::{Action, OnFull};
use burdock::upstream::outlier::PassiveFailure;
use burdock::upstream::spec::{Admin, QueueSpec, TcpKeepalive, Tier, Weight};
use insta::assert_snapshot;
use proptest::prelude::*;

fn good(text: &str) -> Config {
    Config::parse("burdock.yaml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn wrong(text: &str) -> String {
    let errors: Errors = Config::parse("burdock.yaml", text).expect_err("the configuration should be invalid");
    errors.to_string()
}

fn warnings(text: &str) -> String {
    let warnings: Vec<String> = good(text).warnings.iter().map(ToString::to_string).collect();
    warnings.join("\n")
}

/// A valid configuration with `upstream` added to its only upstream and `rest` at its end.
fn with(upstream: &str, rest: &str) -> String {
    let indented: String = upstream.lines().map(|line| format!("    {line}\n")).collect();
    format!("listeners: [127.0.0.1:8080]\nupstreams:\n  shop:\n    servers: [127.0.0.1:3001]\n{indented}{rest}")
}

fn conf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")
}

fn files() -> Vec<PathBuf> {
    let directories = [conf(), conf().join("examples")];
    let entries = directories.iter().flat_map(|directory| std::fs::read_dir(directory).unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn every_file_in_conf_is_valid_without_warnings() {
    let files = files();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let config = Config::parse(&file.to_string_lossy(), &text).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.warnings, [], "{}", file.display());
        assert!(!config.plan.routes.is_empty());
    }
}

#[test]
fn the_schema_file_matches_the_types() {
    let path = conf().join("burdock.schema.json");
    let schema = format!("{:#}\n", Config::schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == schema, "conf/burdock.schema.json is out of date: UPDATE_SCHEMA=1 cargo test --test config schema");
}

#[test]
fn the_shortest_configuration_has_every_default() {
    let config = good("listeners: [0.0.0.0:8080]\nupstreams: {app: {servers: [127.0.0.1:3001]}}\n");
    assert_snapshot!(format!("{config:#?}"));
}

#[test]
fn the_reference_shows_the_defaults() {
    // The reference deliberately sets least_conn, the cookie's times and a health check, so these are not compared.
    let text = std::fs::read_to_string(conf().join("burdock.yaml")).unwrap();
    let reference = good(&text);
    let short = good(&with("", ""));
    assert_eq!(format!("{:?}", reference.process), format!("{:?}", short.process));
    assert_eq!(format!("{:?}", reference.access_log), format!("{:?}", short.access_log));
    assert_eq!(reference.admin.address, short.admin.address);
    let (reference, short) = (&reference.plan.upstreams[0].upstream, &short.plan.upstreams[0].upstream);
    assert_eq!(reference.failover, short.failover);
    assert_eq!(reference.timeouts, short.timeouts);
    assert_eq!(reference.retry, short.retry);
    assert_eq!(reference.limits, short.limits);
}

#[test]
fn a_short_form_equals_the_long_form_with_defaults() {
    let short = good(&with("sticky: cookie\nhealth_check: tcp", ""));
    let long = "sticky: [{cookie: {name: BURDOCK_shop}}]\nhealth_check: {tcp: {}, interval: 2s, timeout: 1s}";
    assert_eq!(short.plan, good(&with(long, "")).plan);
    assert_eq!(short.plan, good(&with("sticky: [cookie]\nhealth_check: {tcp: {}}", "")).plan);
}

#[test]
fn server_fields_are_read_with_their_defaults() {
    let config = good(
        "listeners: [127.0.0.1:8080]\n\
         upstreams:\n\
         \x20 shop:\n\
         \x20   servers:\n\
         \x20     - 127.0.0.1:3001\n\
         \x20     - {id: two, address: '[::1]:3002', weight: 2, max_conns: 200, state: drain}\n\
         \x20     - {id: spare, address: unix:/run/spare.sock, backup: true}\n",
    );
    let [one, two, spare] = &config.plan.upstreams[0].upstream.servers[..] else { panic!("three servers") };
    assert_eq!((one.id.as_str(), one.weight.get(), one.admin, one.tier), ("127.0.0.1:3001", 1, Admin::Ready, Tier::Primary));
    assert_eq!((two.weight.get(), two.max_conns.unwrap().get(), two.admin), (2, 200, Admin::DRAIN));
    assert_eq!((spare.address.to_string().as_str(), spare.tier), ("unix:/run/spare.sock", Tier::Backup));
}

#[test]
fn sticky_balance_and_failover_are_read_as_written() {
    let config = good(&with(
        "sticky:\n- cookie: {name: SID, same_site: none, secure: always, idle_timeout: 30m, max_life: 8h, max_age: 2d}\n\
         sticky_scope: web\n\
         balance: {hash: {key: cookie:USER, load_factor: 1.25}}\n\
         failover: {down: {temporary: 10m}, maint: temporary, full: {refuse: 503}}",
        "",
    ));
    let shop = &config.plan.upstreams[0];
    let MethodSpec::Cookie(cookie) = &shop.sticky.entries[0].method else { panic!("no cookie") };
    assert_eq!(
        (cookie.name.as_str(), cookie.attributes.same_site, cookie.token),
        ("SID", SameSite::None, TokenFormat::Sealed)
    );
    assert_eq!(
        (cookie.lifetime.idle, cookie.lifetime.life, cookie.attributes.max_age),
        (Some(1800), Some(28_800), Some(172_800))
    );
    assert_eq!(&*shop.sticky.scope.0, "web");
    assert!(
        matches!(shop.upstream.balance, Balance::Hash(Some(_)))
            && shop.hash_key == [Place::Cookie(CookieName::parse("USER").unwrap()).into()]
    );
    let minutes = std::time::Duration::from_secs(600);
    assert_eq!(shop.upstream.failover.down, Action::Temporary(Some(minutes)));
    assert_eq!(shop.upstream.failover.maint, Action::Temporary(None));
    assert!(matches!(shop.upstream.failover.full.then, Action::Refuse(status) if status == 503));
}

#[test]
fn max_age_auto_follows_from_the_other_times() {
    let max_age = |fields: &str| {
        let upstream = good(&with(&format!("sticky: [{{cookie: {{max_age: {fields}}}}}]"), "")).plan.upstreams.remove(0);
        let MethodSpec::Cookie(cookie) = &upstream.sticky.entries[0].method else { panic!("a cookie") };
        cookie.attributes.max_age
    };
    assert_eq!(max_age("none, idle_timeout: 30m"), None);
    assert_eq!(max_age("auto, idle_timeout: 30m"), Some(1_980), "as long as the tie holds");
    assert_eq!(max_age("auto, idle_timeout: 1s"), Some(2), "never too short");
    assert_eq!(max_age("auto, max_life: 8h"), Some(28_800));
    assert_eq!(max_age("auto, idle_timeout: 1h, max_life: 1h"), Some(3_600), "no longer than max_life");
    assert_eq!(max_age("auto, idle_timeout: 3000d"), Some(400 * 86_400), "no browser keeps it longer");
    let errors = wrong(&with("sticky: [{cookie: {max_age: auto}}]", ""));
    assert!(errors.contains("max_age: auto follows from idle_timeout and max_life, and neither is set"), "{errors}");
}

#[test]
fn passive_health_counts_failed_connections_by_default_and_its_fields_are_checked() {
    let upstream = |settings: &str| good(&with(settings, "")).plan.upstreams.remove(0).upstream;
    let default = upstream("sticky: []").passive_health.unwrap();
    assert_eq!((default.on, default.failures.get()), (vec![PassiveFailure::Connect], 3));
    assert_eq!(upstream("passive_health: none").passive_health, None);
    assert_eq!(upstream("passive_health: {}").passive_health, Some(Default::default()));
    assert_eq!(upstream("panic_threshold: none\nslow_start: none").panic_threshold, None);
    let errors =
        wrong(&with("passive_health: {hold: 10m, on: [], max_share: 120%}\npanic_threshold: 50\nslow_start: 0s", ""));
    assert_snapshot!(errors);
}

#[test]
fn failover_full_may_wait_for_a_slot() {
    let second = std::time::Duration::from_secs(1);
    let read = |settings: &str| good(&with(settings, "")).plan.upstreams.remove(0).upstream;
    let full = |text: &str| read(&format!("failover: {{full: {text}}}")).failover.full;
    assert_eq!(read("").failover.full, OnFull { wait: Some(2 * second), then: Action::Temporary(None) });
    assert_eq!(full("permanent"), OnFull { wait: None, then: Action::Permanent });
    assert_eq!(full("{temporary: 1s}"), OnFull { wait: None, then: Action::Temporary(Some(second)) });
    assert_eq!(full("{wait: 1s}"), OnFull { wait: Some(second), then: Action::Temporary(None) });
    let refused = Action::Refuse(http::StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(full("{wait: 1s, then: {refuse: 429}}"), OnFull { wait: Some(second), then: refused });
    assert_eq!(read("").queue, QueueSpec { length: 256, new_sessions: None });
    assert_eq!(read("queue: {length: 0, new_sessions: 1s}").queue, QueueSpec { length: 0, new_sessions: Some(second) });
}

#[test]
fn only_failover_full_may_wait_for_a_slot() {
    let text = "failover: {down: {wait: 2s, then: permanent}, full: {wait: 1s, then: {wait: 1s}}, maint: wait}\nqueue: {length: -1, new_sessions: 0s, lenght: 3}";
    assert_snapshot!(wrong(&with(text, "")));
}

#[test]
fn errors_in_failover_full_mention_wait() {
    for (full, found) in [("wait", "\"wait\""), ("lend", "\"lend\""), ("{later: 2s}", "{later: …}"), ("[]", "a list")] {
        let errors = wrong(&with(&format!("failover: {{full: {full}}}"), ""));
        let all = "expected a failover action: permanent, temporary, {temporary: …}, {refuse: …} or {wait: …}";
        assert!(errors.contains(&format!("{all}, found {found}")), "{errors}");
        assert_eq!(errors.contains("help: write {wait: …}"), full == "wait", "{errors}");
    }
}

#[test]
fn a_single_upstream_gets_every_request() {
    let routes = good(&with("", "")).plan.routes;
    assert_eq!((routes.len(), &*routes[0].name, routes[0].upstream.as_str()), (1, "shop", "shop"));
    assert!(routes[0].hosts.is_empty());
}

#[test]
fn an_unnamed_route_is_named_after_its_match() {
    let routes = "routes:\n- {upstream: shop}\n- {match: {hosts: [A.example.com, '*.b.example.com'], path_prefix: /x}, upstream: shop}\n";
    let routes = good(&with("", routes)).plan.routes;
    assert_eq!(routes.iter().map(|route| &*route.name).collect::<Vec<_>>(), ["*/", "a.example.com,*.b.example.com/x"]);
}

#[test]
fn a_yaml_anchor_may_stand_for_a_whole_value() {
    let config = good(
        "listeners: [127.0.0.1:8080]\n\
         upstreams:\n\
         \x20 a: {servers: [127.0.0.1:3001], timeouts: &slow {read: 10m}}\n\
         \x20 b: {servers: [127.0.0.1:3002], timeouts: *slow}\n\
         routes:\n\
         - {upstream: a}\n\
         - {match: {path_prefix: /b}, upstream: b}\n",
    );
    assert_eq!(config.plan.upstreams[0].upstream.timeouts, config.plan.upstreams[1].upstream.timeouts);
}

#[test]
fn a_server_cannot_be_a_listener() {
    let text = |listener: &str, server: &str| {
        format!("listeners: ['{listener}']\nupstreams: {{shop: {{servers: [{{id: web-1, {server}}}]}}}}\n")
    };
    for (listener, server) in [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("10.0.0.1:8080", "10.0.0.1:8080"),
        ("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"),
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("0.0.0.0:8080", "127.7.7.7:8080"),
        ("[::]:8080", "127.0.0.1:8080"),
        ("[::]:8080", "[::1]:8080"),
    ] {
        let errors = wrong(&text(listener, &format!("address: '{server}'")));
        assert!(errors.contains(&format!("upstreams.shop.servers[0].address: {server} is ")), "{errors}");
        assert!(errors.contains("of this Burdock\n  help: write the address of the application"), "{errors}");
    }
    let errors = wrong(&text("0.0.0.0:8080", "name: 'localhost:8080'"));
    assert!(errors.contains("localhost:8080 is reached by the listener 0.0.0.0:8080 of this Burdock"), "{errors}");
    for (listener, server) in [
        ("127.0.0.1:8080", "address: '127.0.0.1:8081'"),
        ("127.0.0.1:8080", "address: '127.0.0.2:8080'"),
        ("0.0.0.0:8080", "address: '[::1]:8080'"),
        ("0.0.0.0:8080", "address: '10.0.0.1:8080'"),
        ("127.0.0.1:8080", "name: 'app.localhost:8080'"),
        ("127.0.0.1:8080", "name: 'localhost:8081'"),
    ] {
        good(&text(listener, server));
    }
}

#[test]
fn tcp_keepalive_has_bounds_and_can_be_off() {
    let read = |settings: &str| good(&with(settings, "")).plan.upstreams.remove(0).upstream.tcp_keepalive;
    assert_eq!(read(""), Some(TcpKeepalive::DEFAULT));
    assert_eq!(read("tcp_keepalive: none"), None);
    let seconds = std::time::Duration::from_secs;
    assert_eq!(
        read("tcp_keepalive: {idle: 5m, count: 127}"),
        Some(TcpKeepalive { idle: seconds(300), count: 127.try_into().unwrap(), ..TcpKeepalive::DEFAULT })
    );
    assert_snapshot!(
        ["{idle: 10h, interval: 500ms, count: 0}", "on", "off", "30s", "{time: 30s, probes: 3}"]
            .map(|written| wrong(&with(&format!("tcp_keepalive: {written}"), "")))
            .join("\n")
    );
    assert_snapshot!(wrong(
        "listeners: [{address: 127.0.0.1:8080, so_keepalive: 30m}]\nupstreams: {a: {servers: [127.0.0.1:1], srvtcpka: true}}"
    ));
}

#[test]
fn all_errors_are_reported_at_once() {
    assert_snapshot!(wrong(include_str!("config/ten_mistakes.yaml")));
}

#[test]
fn all_conflicts_are_reported_at_once() {
    assert_snapshot!(wrong(include_str!("config/misfits.yaml")));
}

#[test]
fn a_syntax_error_is_reported_alone() {
    assert_snapshot!(wrong("listeners: [127.0.0.1:8080]\nlisteners: 3\nupstreams: {shop: {servers: [}}\nfoo: 1\n"));
}

#[test]
fn an_empty_file_reports_every_required_field() {
    assert_snapshot!(wrong(""));
    assert_eq!(wrong("# nothing\n"), wrong(""));
}

#[test]
fn a_value_in_place_of_a_list_hides_no_other_error() {
    let text = "listeners: 127.0.0.1:8080\nupstreams: {shop: {servers: {a: 127.0.0.1:3001}}}\nroutes: [{upstream: shops}]\n";
    assert_snapshot!(wrong(text));
}

#[test]
fn the_configuration_must_be_a_map() {
    let help = "the file is a map: listeners: [0.0.0.0:8080], upstreams: {app: {servers: [10.0.0.10:8080]}}";
    let expected = format!("burdock.yaml:1:1: expected a map (the configuration), found \"hello\"\n  help: {help}");
    assert_eq!(wrong("hello"), expected);
}

#[test]
fn yaml_1_1_words_and_quoted_numbers_get_corrections() {
    let text = "sticky: [{cookie: {http_only: yes, partitioned: off}}]\nservers2: []\nretry: {tries: \"3\"}";
    assert_snapshot!(wrong(&with(text, "access_log: {to: none}\nadmin: {address: off}\nprocess: {work_stealing: on}\n")));
}

#[test]
fn unusable_addresses_get_corrections() {
    let text = "listeners: [:8080, '8080', '*:80', localhost:80, 10.0.0.1, '[::]:0']\n\
                upstreams:\n\
                \x20 shop:\n\
                \x20   servers: [app.internal, app.internal:port, bücher.example:80, '10.0.0.256:80', {address: app.internal:80}, 'fd00::1:80', 'http://10.0.0.1:80', 10.0.0.1, 'unix:run/x', '0.0.0.0:80']\n";
    assert_snapshot!(wrong(text));
}

#[test]
fn a_server_may_be_a_dns_name() {
    let config = good(
        "listeners: [127.0.0.1:8080]\n\
         upstreams:\n\
         \x20 shop:\n\
         \x20   servers:\n\
         \x20     - App.internal:8080\n\
         \x20     - 127.0.0.1:3001\n\
         \x20     - {id: web, name: web.internal.:80, weight: 2, max_conns: 200, state: drain, backup: true}\n\
         \x20     - {srv: _http._tcp.app.internal}\n\
         dns: {servers: [127.0.0.1:5353, '::1'], min_ttl: 2s, max_ttl: 1m, timeout: 500ms, family: ipv4}\n",
    );
    let upstream = &config.plan.upstreams[0].upstream;
    let [app, web, service] = &upstream.discovery[..] else { panic!("three names") };
    assert_eq!(
        (app.stem.as_str(), app.lookup.to_string().as_str(), app.place),
        ("app.internal:8080", "app.internal:8080", 0)
    );
    assert_eq!((web.stem.as_str(), web.lookup.to_string().as_str(), web.place), ("web", "web.internal.:80", 1));
    assert_eq!(
        (web.template.weight, web.template.tier, web.template.admin),
        (Some(Weight::new(2).unwrap()), Tier::Backup, Admin::DRAIN)
    );
    assert_eq!((service.stem.as_str(), service.template.weight), ("_http._tcp.app.internal", None));
    assert_eq!((upstream.servers.len(), config.plan.lookups().len()), (1, 3));
    let addresses = ["127.0.0.1:5353", "[::1]:53"].map(|address| address.parse().unwrap());
    assert_eq!(config.plan.dns.servers, DnsServers::Listed(addresses.to_vec()));
    let [second, minute] = [2, 60].map(std::time::Duration::from_secs);
    assert_eq!((config.plan.dns.bounds, config.plan.dns.family), (Bounds::new(second, minute).unwrap(), Family::Ipv4));
}

#[test]
fn fields_that_conflict_with_dns_names_are_reported() {
    let text = "listeners: [127.0.0.1:8080]\n\
                upstreams:\n\
                \x20 shop:\n\
                \x20   servers:\n\
                \x20     - {name: app.internal:80, address: 127.0.0.1:3001}\n\
                \x20     - {name: app.internal:80, srv: _http._tcp.app.internal}\n\
                \x20     - {id: none}\n\
                \x20     - {name: 10.0.0.1:80}\n\
                \x20     - {name: app.internal}\n\
                \x20     - {srv: app.internal:80}\n\
                \x20     - {srv: a.internal, id: twice}\n\
                \x20     - {id: twice, name: b.internal:80}\n\
                \x20     - {name: b.internal:80, id: LONG}\n\
                dns: {servers: [dns.internal, 0.0.0.0, '10.0.0.1:0'], min_ttl: 10s, max_ttl: 1s, family: ipv5}\n";
    assert_snapshot!(wrong(&text.replace("LONG", &"a".repeat(87))));
}

#[test]
fn upstreams_of_one_scope_must_not_share_dns_names() {
    let text = |second: &str| {
        format!(
            "listeners: [127.0.0.1:8080]\n\
             upstreams:\n\
             \x20 a: {{servers: [app.internal:80], sticky: cookie, sticky_scope: web}}\n\
             \x20 b: {{servers: [{second}], sticky: cookie, sticky_scope: web}}\n\
             routes:\n\
             - {{upstream: a}}\n\
             - {{match: {{path_prefix: /b}}, upstream: b}}\n"
        )
    };
    good(&text("app.internal:81"));
    assert!(wrong(&text("app.internal:80")).contains("duplicate server id app.internal:80 in the sticky scope web"));
}

#[test]
fn at_most_32_listeners_are_allowed() {
    let text = |count: usize, admin: &str| {
        let addresses: Vec<String> = (0..count).map(|nth| format!("127.0.0.1:{}", 8000 + nth)).collect();
        let servers = "{servers: [127.0.0.1:3001]}";
        format!("listeners: [{}]\nadmin: {{address: {admin}}}\nupstreams: {{shop: {servers}}}\n", addresses.join(", "))
    };
    assert_eq!(good(&text(32, "none")).listeners.len(), 32);
    assert!(
        wrong(&text(33, "none"))
            .starts_with("burdock.yaml:1:12: listeners: expected at most 32 listeners, found 33\n  help: ")
    );
    assert_eq!(good(&text(31, "127.0.0.1:9180")).listeners.len(), 31);
    let error = "burdock.yaml:1:12: listeners: expected at most 31 listeners beside the admin address, found 32\n  help: ";
    assert!(wrong(&text(32, "127.0.0.1:9180")).starts_with(error));
}

#[test]
fn inline_secrets_are_refused_and_not_repeated() {
    let secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=";
    let errors =
        wrong(&with("", &format!("keys:\n- {secret}\n- {{env: {secret}}}\n- {{file: {secret}}}\n- {{value: {secret}}}\n")));
    assert!(!errors.contains(&secret[..8]), "{errors}");
    let alone = wrong(&with("", &format!("keys: {secret}\n")));
    assert!(!alone.contains(&secret[..8]) && alone.contains("keys: expected a key source"), "{alone}");
    assert_snapshot!(errors);
}

#[test]
fn a_cookie_sent_to_two_upstreams_is_refused() {
    let two = |cookie: &str, first: &str, second: &str| {
        format!(
            "listeners: [127.0.0.1:8080]\n\
             upstreams:\n\
             \x20 a: {{servers: [127.0.0.1:3001], sticky: [{{cookie: {{name: SID{cookie}}}}}]}}\n\
             \x20 b: {{servers: [127.0.0.1:3002], sticky: [{{cookie: {{name: SID}}}}]}}\n\
             routes:\n\
             - {{match: {first}, upstream: a}}\n\
             - {{match: {second}, upstream: b}}\n"
        )
    };
    let (one, other, wild) = ("{hosts: [a.test.com]}", "{hosts: [b.test.com]}", "{hosts: ['*.test.com']}");
    good(&two("", one, other));
    assert_snapshot!(wrong(&two("", one, wild)));
    assert!(wrong(&two("", one, "{hosts: [a.test.com], path_prefix: /b}")).contains("would also be sent"));
    assert!(wrong(&two(", domain: test.com", one, other)).contains("would also be sent"));
    let apart = ["{hosts: [a.test.com], path_prefix: /a}", "{hosts: [a.test.com], path_prefix: /b}"];
    assert!(wrong(&two(", path: /a", apart[0], apart[1])).contains("would also be sent"), "b's cookie goes to /a too");
    let narrow = two(", path: /a", apart[0], apart[1]).replace("{name: SID}", "{name: SID, path: /b}");
    good(&narrow);
}

#[test]
fn a_cookie_of_several_domains_reaches_only_the_matching_one() {
    let two = |domains: &str, first: &str, second: &str| {
        format!(
            "listeners: [127.0.0.1:8080]\n\
             upstreams:\n\
             \x20 a: {{servers: [127.0.0.1:3001], sticky: [{{cookie: {{name: SID, domain: {domains}}}}}]}}\n\
             \x20 b: {{servers: [127.0.0.1:3002], sticky: [{{cookie: {{name: SID}}}}]}}\n\
             routes:\n\
             - {{match: {{hosts: [{first}]}}, upstream: a}}\n\
             - {{match: {{hosts: [{second}]}}, upstream: b}}\n"
        )
    };
    let both = "[test.com, Shop.test.com]";
    good(&two(both, "shop.test.com", "blog.test.com"));
    good(&two(both, "shop.test.com", "other.com"));
    good(&two(both, "other.com", "blog.test.com"));
    for (first, second) in
        [("www.test.com", "blog.test.com"), ("shop.test.com", "a.shop.test.com"), ("'*.com'", "other.com")]
    {
        assert!(wrong(&two(both, first, second)).contains("would also be sent"), "{first} {second}");
    }
}

#[test]
fn an_attribute_with_its_own_field_is_refused_with_a_hint() {
    let text = "sticky: [{cookie: {domain: [a.com, b.com], attributes: [Priority=High, x]}}]";
    let plan = good(&with(text, "")).plan;
    let MethodSpec::Cookie(cookie) = &plan.upstreams[0].sticky.entries[0].method else { panic!("no cookie") };
    let domains: Vec<_> = cookie.attributes.domains.iter().map(|domain| domain.as_str()).collect();
    let extra: Vec<_> = cookie.attributes.extra.iter().map(|extra| extra.as_str()).collect();
    assert_eq!((domains, extra), (vec!["a.com", "b.com"], vec!["Priority=High", "x"]));
    let errors = wrong(&with("sticky: [{cookie: {attributes: [Max-Age=3, 'x; Domain=y']}}]", ""));
    assert!(errors.contains("Max-Age has a field of its own: write `max_age`"), "{errors}");
    assert!(errors.contains("';' is not allowed in an attribute"), "{errors}");
}

#[test]
fn upstreams_of_one_scope_must_not_share_servers() {
    let text = |second: &str| {
        format!(
            "listeners: [127.0.0.1:8080]\n\
             upstreams:\n\
             \x20 a: {{servers: [127.0.0.1:3001], sticky: cookie, sticky_scope: web}}\n\
             \x20 b: {{servers: [{second}], sticky: cookie, sticky_scope: web}}\n\
             routes:\n\
             - {{upstream: a}}\n\
             - {{match: {{path_prefix: /b}}, upstream: b}}\n"
        )
    };
    good(&text("127.0.0.1:3002"));
    assert_snapshot!(wrong(&text("127.0.0.1:3001")));
}

#[test]
fn likely_mistakes_are_only_warnings() {
    let text = "listeners: [127.0.0.1:8080]\n\
                upstreams:\n\
                \x20 shop:\n\
                \x20   servers: [{address: 127.0.0.1:3001, weight: 0}, {address: 127.0.0.1:3002, state: drain}]\n\
                \x20   sticky: [{cookie: {idle_timeout: 2h, max_life: 1h, max_age: 30m}}]\n\
                \x20 forgotten: {servers: [127.0.0.1:3003], sticky: [{cookie: {max_age: 401d}}]}\n\
                \x20 plain: {servers: [127.0.0.1:3004], sticky: [{cookie: {token: plain, max_age: 1h}}]}\n\
                \x20 tight: {servers: [127.0.0.1:3005], sticky: [{cookie: {max_age: 1h, idle_timeout: 1h}}]}\n\
                \x20 named: {servers: [127.0.0.1:3006], sticky: [{cookie: {name: JSESSIONID}}]}\n\
                routes: [{upstream: shop}, {match: {path_prefix: /plain}, upstream: plain}, {match: {path_prefix: /tight}, upstream: tight}, {match: {path_prefix: /named}, upstream: named}]\n";
    assert_snapshot!(warnings(text));
}

#[test]
fn dns_names_with_a_route_or_no_new_sessions_get_warnings() {
    let text = "listeners: [127.0.0.1:8080]\n\
                upstreams: {shop: {servers: [{name: app.internal:80, route: a, weight: 0}, {srv: app.internal, state: maint}]}}\n";
    assert_snapshot!(warnings(text));
}

proptest! {
    #[test]
    fn parsing_arbitrary_text_never_panics(text in "\\PC{0,400}") {
        let _ = Config::parse("f", &text);
    }

    #[test]
    fn parsing_yaml_like_text_never_panics(text in "[a-z0-9:,\\[\\]{}&*!'\"#|>~\\- \n\t\r\\\\%@`?<.]{0,200}") {
        let _ = Config::parse("f", &text);
    }

    #[test]
    fn errors_in_a_mutated_reference_have_a_valid_line(changes in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, "\\PC{0,8}|[ \n\\[\\]{}:,*&-]{1,3}"), 1..8)) {
        let mut text: Vec<char> = std::fs::read_to_string(conf().join("burdock.yaml")).unwrap().chars().collect();
        for (at, length, instead) in changes {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, instead.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = Config::parse("f", &text) {
            prop_assert!(!errors.faults().is_empty());
            let lines = text.lines().count() + 1;
            prop_assert!(errors.faults().iter().all(|fault| (1..=lines).contains(&fault.at.line)), "{errors}");
        }
    }
}

#[test]
fn an_upstream_has_at_most_65536_servers() {
    let servers = |count: usize| {
        let addresses: Vec<String> =
            (0..count).map(|n| format!("'10.{}.{}.{}:80'", n / 65_536, n / 256 % 256, n % 256)).collect();
        format!("listeners: ['127.0.0.1:8080']\nupstreams:\n  shop:\n    servers: [{}]\n", addresses.join(", "))
    };
    assert!(Config::parse("many.yaml", &servers(65_536)).is_ok());
    let errors = Config::parse("many.yaml", &servers(65_537)).unwrap_err().to_string();
    assert_eq!(errors.trim_end(), "many.yaml:3:3: upstreams.shop: expected at most 65536 servers, found 65537");
}

#[test]
fn a_table_names_at_most_65536_servers() {
    let upstream = |name: &str, servers: std::ops::Range<u32>| {
        let servers: String = servers.map(|n| format!("10.{}.{}.{}:80, ", n >> 16, n >> 8 & 255, n & 255)).collect();
        let learn = "{create: 'set_cookie:S', lookup: 'cookie:S', table: t}";
        format!("  {name}:\n    servers: [{servers}]\n    sticky: [{{learn: {learn}}}]\n")
    };
    let both = |last| {
        let upstreams = upstream("a", 0..40_000) + &upstream("b", 30_000..last);
        let routes = "[{match: {path_prefix: /a}, upstream: a}, {match: {path_prefix: /b}, upstream: b}]";
        format!("listeners: ['127.0.0.1:8080']\ntables: {{t: {{}}}}\nroutes: {routes}\nupstreams:\n{upstreams}")
    };
    assert_snapshot!(wrong(&both(65_537)), @"
    burdock.yaml:10:14: upstreams.b.sticky[0]: table t would have 65537 servers: a session table names at most 65536 servers at one time
      help: give some upstreams a table of their own
    ");
}
