//! `burdock ctl`: its commands and their output without a terminal.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Burdock, Client, CommandOutput, Reply, Site, burdock, run, shop, wait_until};

const STICKY: &str = "sticky: [{cookie: {idle_timeout: 30m}}]\n";
const LEARN: &str = "sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: cookie:JSESSIONID, table: sessions}}]\n";
const TABLES: &str = "tables: {sessions: {capacity: 1000, idle_timeout: 1h}}\n";

fn ctl(site: &Site, args: &[&str]) -> CommandOutput {
    let socket = site.socket();
    burdock([&["ctl", "--socket", socket.to_str().unwrap()], args].concat())
}

fn json_of(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&ctl(site, &[args, &["--json"]].concat()).ok().stdout).unwrap()
}

/// The words of the line that starts with `begin`.
fn line(text: &str, begin: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin} in {text}"));
    line.split_whitespace().map(str::to_owned).collect()
}

/// A client pinned to this server, whose request has ended.
fn client_at(running: &Burdock, server: &str) -> Client {
    let client = running.client_at(server);
    let path = format!("/upstreams/shop/servers/{server}");
    wait_until("its request has ended", || running.api().get(&path)["in_flight"] == 0);
    client
}

/// Two servers whose application sets the cookie that the request's query names.
fn learning(site: &Site) -> ([crate::harness::Origin; 2], Burdock) {
    let origins = site.origins::<2>();
    for origin in &origins {
        origin.respond_with(|request| match request.target().split_once('?') {
            Some((_, cookie)) => Reply::with("Set-Cookie", cookie),
            None => Reply::status(200),
        });
    }
    (origins, site.burdock(&format!("{}{TABLES}", shop(2, LEARN))))
}

#[test]
fn status_and_servers_print_tables_without_terminal_codes() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let running = site.shop(2, &format!("{STICKY}balance: first"));
    let client = client_at(&running, "web-1");
    let status = ctl(&site, &["status"]).ok().stdout;
    assert!(status.contains(&format!("process {}", running.pid())) && status.contains("ready"), "{status}");
    assert_eq!(line(&status, "shop")[1..3], ["2", "2"]);
    let servers = ctl(&site, &["servers"]).ok().stdout;
    assert_eq!(line(&servers, "shop/web-1")[1..7], ["ready", "unchecked", "1", "0", "-", "~1"]);
    assert_eq!(ctl(&site, &["servers", "shop"]).ok().stdout, servers);
    assert!(!format!("{status}{servers}").contains('\u{1b}'));
    assert_eq!(json_of(&site, &["servers", "shop"])["servers"][1]["id"], "web-2");
    assert_eq!(json_of(&site, &["status"])["version"]["readiness"], "ready");
    assert_eq!(json_of(&site, &["version"])["pid"], running.pid());
    drop(client);
}

#[test]
fn commands_take_several_servers_and_patterns() {
    let site = Site::new();
    let running = site.shop(3, STICKY);
    let weights = ctl(&site, &["weight", "shop/web-1", "shop/web-3", "5"]).ok().stdout;
    assert_eq!(
        weights,
        "shop/web-1: ready, unchecked, weight 5, max_conns -\nshop/web-3: ready, unchecked, weight 5, max_conns -\n"
    );
    let drained = ctl(&site, &["drain", "shop/web-*"]).ok().stdout;
    assert_eq!(drained.lines().filter(|line| line.starts_with("draining  shop/web-")).count(), 3, "{drained}");
    let none = ctl(&site, &["ready", "shop/web-1", "shop/green-*"]);
    assert!(none.code == Some(1) && none.stderr.contains("no server matches shop/green-*"), "{none:?}");
    assert_eq!(running.api().get("/upstreams/shop/servers/web-1")["state"], "drain", "nothing changed");
    let unknown = ctl(&site, &["ready", "shop/nothing", "*/web-?"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("shop/nothing: "), "{unknown:?}");
    assert_eq!(unknown.stdout.lines().count(), 3, "{unknown:?}");
}

#[test]
fn commands_that_change_a_server_print_its_new_state() {
    let site = Site::new();
    let _running = site.shop(2, STICKY);
    let output = |args: &[&str]| ctl(&site, args).ok().stdout;
    assert_eq!(output(&["weight", "shop/web-1", "7"]), "shop/web-1: ready, unchecked, weight 7, max_conns -\n");
    assert_eq!(output(&["max-conns", "shop/web-1", "100"]), "shop/web-1: ready, unchecked, weight 7, max_conns 100\n");
    assert!(output(&["maint", "shop/web-1"]).starts_with("shop/web-1: maint"));
    assert!(output(&["diff"]).contains("server shop/web-1 changed: "));
    assert!(output(&["ready", "shop/web-1"]).starts_with("shop/web-1: ready"));
    assert!(output(&["weight", "shop/web-1", "reset"]).contains("weight 1"));
    assert_eq!(output(&["reset", "shop/web-1"]), "reset 1 server\n");
    assert!(output(&["diff"]).starts_with("no runtime overrides"));
    let address = site.server(3).to_string();
    assert!(output(&["add", "shop", &address, "--id", "web-3", "--weight", "2", "--maint"]).contains("weight 2"));
    assert!(line(&output(&["servers"]), "shop/web-3").join(" ").ends_with("not in the file"));
    assert_eq!(output(&["remove", "shop/web-3", "--now"]), "removed shop/web-3\n");
    assert_eq!(output(&["reset", "--all"]), "reset 0 servers\n");
}

#[test]
fn errors_go_to_stderr_with_the_right_exit_code() {
    let site = Site::new();
    let _running = site.shop(1, STICKY);
    let failed = |args: &[&str], code: i32, part: &str| {
        let finished = ctl(&site, args);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(code), ""), "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(part), "{args:?}: {finished:?}");
    };
    failed(&["ready", "shop/nobody"], 1, "no server nobody");
    failed(&["servers", "none"], 1, "no upstream");
    failed(&["add", "shop", "nowhere"], 1, "address");
    failed(&["ready", "web-1"], 2, "UPSTREAM/SERVER");
    failed(&["weight", "shop/web-1", "300"], 2, "0 to 256");
    failed(&["drain", "shop/web-1", "--deadline", "soon"], 2, "90s");
    failed(&["asleep"], 2, "asleep");
    failed(&["sessions", "count", "none"], 1, "no session table");
}

#[test]
fn without_a_running_process_the_error_names_the_socket() {
    let site = Site::new();
    let finished = ctl(&site, &["status"]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains(site.socket().to_str().unwrap()), "{finished:?}");
    assert!(finished.stderr.contains("is Burdock running"), "{finished:?}");
}

#[test]
fn ctl_finds_the_process_by_configuration_or_by_url_and_token() {
    let site = Site::new();
    let running = crate::admin::open(&site, STICKY);
    let file = site.path("burdock.yaml");
    let version = burdock(["ctl", "-c", file.to_str().unwrap(), "version"]).ok().stdout;
    assert!(version.contains(&running.pid().to_string()), "{version}");
    let (url, token) = (format!("http://{}", running.admin), site.path("token"));
    let by_url =
        |token: &std::path::Path| burdock(["ctl", "version", "--url", &url, "--token-file", token.to_str().unwrap()]);
    assert_eq!(by_url(&token).ok().stdout, version);
    let wrong = by_url(&site.write("wrong", "another-token-that-is-not-the-right-one"));
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("admin.token_file"), "{wrong:?}");
    assert_eq!(burdock(["ctl", "version", "--url", &url]).code, Some(2));
}

#[test]
fn drain_wait_reports_progress_in_plain_lines() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let running = site.shop(2, "sticky: [{cookie: {idle_timeout: 2s}}]\n");
    drop(client_at(&running, "web-1"));
    let finished = ctl(&site, &["drain", "shop/web-1", "--wait", "--deadline", "1h", "--then", "move"]).ok();
    assert!(!finished.stdout.contains('\u{1b}') && !finished.stdout.contains('\r'), "{finished:?}");
    let first = finished.stdout.lines().next().unwrap();
    assert!(first.starts_with("draining  shop/web-1: about 1 sessions left (estimated), 0 in flight"), "{first}");
    assert!(first.contains("deadline in"), "{first}");
    assert!(finished.stdout.lines().last().unwrap().starts_with("drained"), "{finished:?}");
    assert!(ctl(&site, &["drains"]).ok().stdout.starts_with("drained   shop/web-1"));
    assert!(ctl(&site, &["status"]).ok().stdout.contains("drained   shop/web-1"));
}

#[test]
fn drain_wait_exits_with_1_when_sessions_outlast_the_deadline() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let running = site.shop(2, STICKY);
    drop(client_at(&running, "web-1"));
    let socket = site.socket();
    let args = ["ctl", "--socket", socket.to_str().unwrap(), "drain", "shop/web-1", "--wait", "--deadline", "2s", "--json"];
    let begun = Instant::now();
    let finished = burdock(args);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("deadline reached: "), "{finished:?}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let last: Value = serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["server"], &last["deadline"]), (&json!("web-1"), &json!(0)));
}

#[test]
fn drain_wait_stops_when_the_drain_is_cancelled() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let running = site.shop(2, STICKY);
    drop(client_at(&running, "web-1"));
    let waiting = {
        let socket = site.socket();
        thread::spawn(move || burdock(["ctl", "--socket", socket.to_str().unwrap(), "drain", "shop/web-1", "--wait"]))
    };
    wait_until("it drains", || json_of(&site, &["drains"])["drains"][0]["server"] == "web-1");
    ctl(&site, &["ready", "shop/web-1"]).ok();
    let finished = waiting.join().unwrap();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("no longer draining"), "{finished:?}");
}

#[test]
fn sessions_are_counted_listed_found_and_deleted() {
    let site = Site::new();
    let (_origins, running) = learning(&site);
    let servers: Vec<_> =
        (0..20).map(|n| running.get(&format!("/?JSESSIONID=session-{n:04}")).served_by().to_owned()).collect();
    let at_one = servers.iter().filter(|server| *server == "web-1").count();
    let count = ctl(&site, &["sessions", "count"]).ok().stdout;
    assert_eq!(line(&count, "sessions")[1..4], ["(all)", "20", "1000"]);
    let listed = |args: &[&str]| {
        json_of(&site, &[&["sessions", "list", "sessions"], args].concat())["sessions"].as_array().unwrap().len()
    };
    assert_eq!((listed(&[]), listed(&["--limit", "7"]), listed(&["--server", "web-1"])), (20, 7, at_one));
    let found = json_of(&site, &["sessions", "find", "sessions", "--id", "session-0003"]);
    assert_eq!(found["server"], servers[3]);
    let fingerprint = found["fingerprint"].as_str().unwrap();
    let deleted = ctl(&site, &["sessions", "delete", "sessions", fingerprint]).ok().stdout;
    assert_eq!(deleted, format!("forgot session {fingerprint} of {}\n", servers[3]));
    assert_eq!(ctl(&site, &["sessions", "find", "sessions", "--id", "session-0003"]).code, Some(1));
    ctl(&site, &["sessions", "delete", "sessions", "--server", "web-1"]).ok();
    assert_eq!(listed(&["--server", "web-1"]), 0);
}

#[test]
fn sessions_find_reads_the_session_id_from_stdin() {
    let site = Site::new();
    let (_origins, running) = learning(&site);
    let server = running.get("/?JSESSIONID=a-secret-session").served_by().to_owned();
    let mut finding = Command::new(env!("CARGO_BIN_EXE_burdock"))
        .args(["ctl", "--socket", site.socket().to_str().unwrap(), "sessions", "find", "sessions"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    finding.stdin.take().unwrap().write_all(b"a-secret-session\n").unwrap();
    let output = finding.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && stdout.contains(&server), "{stdout}");
}

#[test]
fn explain_reload_and_config_print_their_results() {
    let site = Site::new();
    let yaml = shop(2, STICKY);
    let _running = site.burdock(&yaml);
    let output = |args: &[&str]| ctl(&site, args).ok().stdout;
    let explained = output(&["explain", "-H", "X-Any: 1", "http://shop.example.com/cart?x=1"]);
    assert!(explained.contains("reason    new (method: none)") && explained.contains("server    web-"), "{explained}");
    site.write("burdock.yaml", &crate::harness::with_defaults(&shop(3, STICKY)));
    let dry = output(&["reload", "--dry-run"]);
    assert!(dry.contains("server shop/web-3 added") && dry.contains("the reload would move no sessions"), "{dry}");
    assert!(output(&["reload"]).ends_with("reloaded; differences: 1\n"));
    let config = output(&["config"]);
    assert!(config.starts_with("# /") && config.contains("web-3"), "{config}");
    site.write("burdock.yaml", "upstreams: 7");
    let refused = ctl(&site, &["reload"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("nothing changed") && refused.stderr.contains("1:"), "{refused:?}");
}

#[test]
fn top_prints_one_plain_report_without_a_terminal() {
    let site = Site::new();
    let _origins = site.origins::<2>();
    let running = site.shop(2, STICKY);
    let top = {
        let socket = site.socket();
        thread::spawn(move || burdock(["ctl", "--socket", socket.to_str().unwrap(), "top", "--every", "1"]))
    };
    while !top.is_finished() {
        running.get("/");
    }
    let report = top.join().unwrap().ok().stdout;
    assert!(!report.contains('\u{1b}'), "{report}");
    let shop = line(&report, "shop ");
    assert!(shop[1].parse::<f64>().unwrap() > 0.0 && report.contains("new "), "{report}");
    assert_eq!(line(&report, "shop/web-1")[1..4], ["ready", "unchecked", "1"]);
}

#[test]
fn completions_exist_for_bash_zsh_and_fish() {
    for (shell, part) in [("bash", "complete -F _burdock"), ("zsh", "#compdef burdock"), ("fish", "complete -c burdock")] {
        let script = burdock(["ctl", "completions", shell]).ok().stdout;
        assert!(script.contains(part) && script.contains("max-conns"), "{shell}");
    }
    assert_eq!(burdock(["ctl", "completions", "csh"]).code, Some(2));
}

#[test]
fn a_closed_output_pipe_causes_no_error_message() {
    let site = Site::new();
    let _running = site.shop(2, STICKY);
    let shell = format!("{} ctl --socket {} servers | head -1", env!("CARGO_BIN_EXE_burdock"), site.socket().display());
    let finished = run(Command::new("sh").args(["-c", &shell])).ok();
    assert!(finished.stdout.starts_with("SERVER") && finished.stderr.is_empty(), "{finished:?}");
}
