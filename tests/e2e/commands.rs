//! The commands `check`, `keys` and `run -t`, and errors that prevent startup.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Burdock, CommandOutput, Site, burdock, shop, with_defaults};

fn check(site: &Site, yaml: &str, more: &[&str]) -> CommandOutput {
    let file = site.write("checked.yaml", yaml);
    let file = file.to_str().unwrap();
    burdock([&["check", "-c", file], more].concat())
}

#[test]
fn check_accepts_a_valid_configuration() {
    let site = Site::new();
    let valid = check(&site, &with_defaults(&shop(2, "sticky: cookie")), &[]).ok();
    assert!(valid.stderr.contains("checked.yaml"), "{valid:?}");
}

#[test]
fn check_reports_every_error_with_file_and_line() {
    let site = Site::new();
    let wrong = check(
        &site,
        "listeners: [127.0.0.1:8080]
upstreams:
  shop:
    servers:
      - {id: web-1, address: 10.0.0.1:80, wieght: 2}
      - {id: web-1, address: 10.0.0.2:80, weight: 257}
    stikcy: cookie
routes:
  - {match: {path_prefix: /}, upstream: shpo}
",
        &[],
    );
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    for (line, found, help) in
        [(5, "wieght", "weight"), (6, "257", "256"), (6, "web-1", "line 5"), (7, "stikcy", "sticky"), (9, "shpo", "shop")]
    {
        let reported = wrong
            .stderr
            .lines()
            .any(|message| message.contains(&format!("checked.yaml:{line}:")) && message.contains(found));
        assert!(reported && wrong.stderr.contains(help), "line {line}, {found}, {help}: {}", wrong.stderr);
    }
}

#[test]
fn check_names_a_file_that_is_not_yaml() {
    let site = Site::new();
    let wrong = check(&site, "listeners: [127.0.0.1:8080\nupstreams: {\n", &[]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("checked.yaml:"), "{wrong:?}");
}

#[test]
fn check_names_a_missing_file() {
    let missing = burdock(["check", "-c", "/nonexistent/burdock.yaml"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("/nonexistent/burdock.yaml"), "{missing:?}");
}

#[test]
fn check_takes_the_file_as_an_argument_or_from_standard_input() {
    let site = Site::new();
    let file = site.write("checked.yaml", &with_defaults(&shop(2, "sticky: cookie")));
    let with = burdock(["check", file.to_str().unwrap()]).ok();
    assert!(with.stderr.contains("checked.yaml: configuration OK"), "{with:?}");
    let piped = |args: &[&str], text: &str| {
        let input = site.write("piped.yaml", text);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_burdock"));
        crate::harness::run(command.args(args).stdin(std::fs::File::open(input).unwrap()))
    };
    let valid = std::fs::read_to_string(&file).unwrap();
    for args in [&["check", "-"][..], &["check", "-c", "-"]] {
        let checked = piped(args, &valid).ok();
        assert!(checked.stderr.contains("standard input: configuration OK"), "{checked:?}");
    }
    let wrong = piped(&["check", "-"], "listeners: [nowhere]\n");
    assert!(wrong.code == Some(2) && wrong.stderr.contains("standard input:1:"), "{wrong:?}");
    let explained = piped(&["explain", "-c", "-", "/"], &valid).ok();
    assert!(explained.stdout.contains("shop"), "{explained:?}");
    let refused = piped(&["run", "-c", "-"], &valid);
    assert!(refused.code == Some(2) && refused.stderr.contains("needs a file"), "{refused:?}");
}

#[test]
fn the_start_line_names_version_configuration_and_addresses() {
    let site = Site::new();
    let running = site.shop(1, "");
    let version = env!("CARGO_PKG_VERSION");
    let (file, listen, socket) = (site.path("burdock.yaml"), site.listen(), site.socket());
    running.wait_for_log(&format!("burdock {version} starts, process {}; configuration: {}", running.pid(), file.display()));
    running.wait_for_log(&format!("listeners: {listen}; admin: "));
    running.wait_for_log(&socket.display().to_string());
}

#[test]
fn only_check_bind_finds_an_address_in_use() {
    let site = Site::new();
    let listener = std::net::TcpListener::bind(site.listen()).unwrap();
    let yaml = with_defaults(&shop(1, "sticky: cookie"));
    check(&site, &yaml, &[]).ok();
    let found = check(&site, &yaml, &["--bind"]);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(found.stderr.contains(&site.listen().to_string()), "{found:?}");
    drop(listener);
    check(&site, &yaml, &["--bind"]).ok();
}

#[test]
fn a_listen_address_in_use_prevents_startup() {
    let site = Site::new();
    let _listener = std::net::TcpListener::bind(site.listen()).unwrap();
    let mut burdock = Burdock::launch(&site, &shop(1, "sticky: cookie"), &[]);
    assert!(!burdock.wait_for_exit_and_output().success());
    assert!(burdock.stderr().contains(&site.listen().to_string()), "{}", burdock.stderr());
}

#[test]
fn run_t_checks_the_configuration_and_exits() {
    let site = Site::new();
    let run = |yaml: &str| {
        let file = site.write("tested.yaml", &with_defaults(yaml));
        burdock(["run", "-t", "-c", file.to_str().unwrap()])
    };
    run(&shop(1, "sticky: cookie")).ok();
    assert_eq!(run(&shop(1, "sticky: biscuit")).code, Some(2));
}

#[test]
fn a_runtime_directory_open_to_others_prevents_startup() {
    let site = Site::new();
    std::fs::set_permissions(site.path("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut burdock = Burdock::launch(&site, &shop(1, "sticky: cookie"), &[]);
    assert!(!burdock.wait_for_exit_and_output().success());
    assert!(burdock.stderr().contains("chmod 700"), "{}", burdock.stderr());
}

#[test]
fn a_key_file_is_private_and_is_not_overwritten() {
    let site = Site::new();
    let file = site.path("new-key");
    burdock(["keys".as_ref(), "new".as_ref(), file.as_os_str()]).ok();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).unwrap();
    let again = burdock(["keys".as_ref(), "new".as_ref(), file.as_os_str()]);
    assert_eq!((again.code, std::fs::read_to_string(&file).unwrap()), (Some(1), key));
}

#[test]
fn two_new_keys_are_valid_and_differ() {
    let keys = [0; 2].map(|_| burdock(["keys", "new"]).ok().stdout);
    assert_ne!(keys[0], keys[1]);
    assert!(keys.iter().all(|key| burdock::token::keys::Key::parse(key).is_ok()));
}

#[test]
fn check_finds_an_unreadable_key_file() {
    let site = Site::new();
    let yaml = with_defaults(&format!("keys: [{{file: $DIR/nowhere}}]\n{}", shop(1, "sticky: cookie")));
    let wrong = check(&site, &yaml, &[]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("nowhere"), "{wrong:?}");
}

#[test]
fn a_key_file_that_others_could_change_prevents_startup() {
    let site = Site::new();
    let yaml = format!("keys: [{{file: $DIR/key}}]\n{}", shop(1, "sticky: cookie"));
    let key = site.write("key", &burdock(["keys", "new"]).ok().stdout);
    let refused = |text: &str| {
        let mut burdock = Burdock::launch(&site, &yaml, &[]);
        assert_eq!(burdock.wait_for_exit_and_output().code(), Some(1), "{text}");
        assert!(burdock.stderr().contains(text), "{}", burdock.stderr());
    };
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o666)).unwrap();
    refused("can be written by others (mode 666)");
    assert_eq!(check(&site, &with_defaults(&yaml), &[]).code, Some(2));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!check(&site, &with_defaults(&yaml), &[]).ok().stderr.contains("warning"));
    if std::os::unix::fs::chown(&key, Some(12_345), None).is_ok() {
        refused("belongs to another user (uid 12345)");
        check(&site, &with_defaults(&yaml), &[]).ok();
        std::os::unix::fs::chown(&key, Some(0), None).unwrap();
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warned = check(&site, &with_defaults(&yaml), &[]).ok();
    assert!(warned.stderr.contains("warning: ") && warned.stderr.contains("can be read by others"), "{warned:?}");
    let burdock = site.burdock(&yaml);
    burdock.wait_for_log("can be read by others (mode 644)");
}

#[test]
fn a_reload_refuses_a_key_file_that_others_can_write() {
    let site = Site::new();
    let yaml = format!("keys: [{{file: $DIR/key}}]\n{}", shop(1, "sticky: cookie"));
    let key = site.write("key", &burdock(["keys", "new"]).ok().stdout);
    let burdock = site.burdock(&yaml);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(!burdock.reload(&site, &yaml));
    assert!(burdock.stderr().contains("can be written by others"), "{}", burdock.stderr());
}

#[test]
fn wrong_usage_exits_with_2_and_help_shows_examples() {
    assert_eq!(burdock(["flatten"]).code, Some(2));
    assert_eq!(burdock(["check", "--no-such-flag"]).code, Some(2));
    assert!(burdock(["--help"]).ok().stdout.contains("Examples:"));
    assert!(burdock(["--version"]).ok().stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_open_file_limit_is_raised_to_its_maximum() {
    let site = Site::new();
    let burdock = site.shop(1, "sticky: cookie");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", burdock.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let values: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(values[0], values[1], "{line}");
}

#[test]
fn an_access_log_that_cannot_be_opened_prevents_startup() {
    let site = Site::new();
    let yaml = format!("access_log: {{to: /nonexistent/access.log}}\n{}", shop(1, "sticky: cookie"));
    let mut burdock = Burdock::launch(&site, &yaml, &[]);
    assert_eq!(burdock.wait_for_exit_and_output().code(), Some(1));
    assert!(burdock.stderr().contains("access log"), "{}", burdock.stderr());
}

fn make_fifo(site: &Site, name: &str) {
    let path = site.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_fifo_in_place_of_a_file_prevents_startup_at_once() {
    let keys = "keys: [{file: $DIR/given}]";
    let token = "admin: {address: $IP:9180, token_file: $DIR/given}";
    for (fifo, setting) in
        [("access.log", ""), ("state/key", ""), ("run/burdock.pid", ""), ("given", keys), ("given", token)]
    {
        let site = Site::new();
        make_fifo(&site, fifo);
        let yaml = format!("{setting}\n{}", shop(1, "sticky: cookie"));
        let mut burdock = Burdock::launch(&site, &yaml, &[]);
        assert_eq!(burdock.wait_for_exit_and_output().code(), Some(1), "{fifo}");
        let stderr = burdock.stderr();
        assert!(stderr.contains("it is a FIFO, not a regular file"), "{fifo}: {stderr}");
    }
}

#[test]
fn check_finds_a_fifo_in_place_of_the_access_log() {
    let site = Site::new();
    make_fifo(&site, "access.log");
    let yaml = with_defaults(&shop(1, "sticky: cookie"));
    let wrong = check(&site, &yaml, &[]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("access.log: it is a FIFO"), "{wrong:?}");
}

#[test]
fn a_fifo_in_place_of_stored_state_is_not_read() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    for fifo in ["state/changes.json", "state/sessions/.lock", "state/sessions/shop/journal.1"] {
        make_fifo(&site, fifo);
    }
    let learn = "sticky: [{learn: {create: 'set_cookie:SID', lookup: 'cookie:SID'}}]";
    let burdock = site.burdock(&shop(1, learn));
    assert_eq!(burdock.get("/").status, 200);
    burdock.wait_for_log("cannot save session tables");
    burdock.wait_for_log("cannot read the saved runtime overrides");
}

#[test]
fn an_admin_address_in_use_prevents_startup() {
    let site = Site::new();
    let _listener = std::net::TcpListener::bind(site.admin()).unwrap();
    let mut burdock = Burdock::launch(&site, &shop(1, "sticky: cookie"), &[]);
    assert!(!burdock.wait_for_exit_and_output().success());
    assert!(burdock.stderr().contains(&site.admin().to_string()), "{}", burdock.stderr());
}

#[test]
fn keys_new_names_the_directory_that_it_cannot_write_to() {
    let site = Site::new();
    let failed = burdock(["keys", "new", site.path("missing/key").to_str().unwrap()]);
    let directory = format!("cannot write to the directory {}: ", site.path("missing").display());
    assert!(failed.code == Some(1) && failed.stderr.contains(&directory) && !failed.stderr.contains(".tmp"), "{failed:?}");
}
