//! The package under a real systemd, which is the first process of a container.

use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::debian::package;
use crate::podman::{Container, Store};
use crate::root;
use crate::shop::{Customer, address, wait_until};
use crate::tools::{output, text};

/// A configuration with a port below 1024 and two shops whose sessions are learned.
fn site(ip: Ipv4Addr) -> String {
    format!(
        "listeners: ['{ip}:80']
admin: {{address: '{ip}:9180'}}
process: {{shutdown: {{lame_duck: 200ms, grace: 10s}}}}
access_log: {{to: /var/log/burdock/access.log}}
upstreams:
  shop:
    servers: [{{id: shop-1, address: '{ip}:3001'}}, {{id: shop-2, address: '{ip}:3002'}}]
    sticky: [{{learn: {{create: 'set_cookie:SHOP_SESSION', lookup: 'cookie:SHOP_SESSION'}}}}]
    health_check: {{http: {{path: /healthz}}}}
"
    )
}

struct Host<'a> {
    container: Container<'a>,
    ip: Ipv4Addr,
}

impl<'a> Host<'a> {
    /// Installs the package, writes its configuration and starts Burdock.
    fn start(store: &'a Store) -> Self {
        store.import(&root::with_systemd(), "localhost/host", &[]);
        let container = store.start(&["--systemd", "always"], &["localhost/host", "/sbin/init"]);
        let host = Self { container, ip: address() };
        wait_until("systemd is up", || host.run(&["systemctl", "is-system-running"]).contains("running"));
        host.container.write("/root/burdock.deb", package());
        host.container.ok(&["dpkg", "--install", "/root/burdock.deb"]);
        host.write(&site(host.ip));
        for n in [1, 2] {
            let shop = format!("burdock demo-shop --listen {}:300{n} --id shop-{n}", host.ip);
            host.container.ok(&["systemd-run", "--unit", &format!("shop-{n}"), "sh", "-c", &shop]);
        }
        host.container.ok(&["systemctl", "start", "burdock"]);
        host
    }

    fn write(&self, configuration: &str) {
        self.container.write("/etc/burdock/burdock.yaml", configuration.as_bytes());
    }

    fn run(&self, line: &[&str]) -> String {
        text(&output(&mut self.container.exec(line))).trim().to_owned()
    }

    fn property(&self, name: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", name, "burdock"])
    }

    fn listen(&self) -> SocketAddr {
        (self.ip, 80).into()
    }

    /// Restarts Burdock with a short watchdog timeout.
    fn shorten_watchdog(&self) {
        self.container.ok(&["mkdir", "-p", "/etc/systemd/system/burdock.service.d"]);
        let file = "/etc/systemd/system/burdock.service.d/test.conf";
        self.container.write(file, b"[Service]\nWatchdogSec=2s\n");
        self.container.ok(&["systemctl", "daemon-reload"]);
        self.container.ok(&["systemctl", "restart", "burdock"]);
    }

    /// Sends a signal to the main process and waits until another one is ready.
    fn wait_for_restart_after(&self, signal: &str) {
        let before = self.property("MainPID");
        self.container.ok(&["kill", signal, &before]);
        wait_until("another process is ready", || {
            self.property("MainPID") != before && self.property("ActiveState") == "active"
        });
    }
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn burdock_serves_once_systemd_reports_it_started() {
    let store = Store::open();
    let host = Host::start(&store);
    assert!(Customer::log_in(host.listen()).has_session());
    assert_eq!(host.property("StatusErrno"), "0");
    let log = host.run(&["journalctl", "--no-pager", "--unit", "burdock"]);
    assert!(!log.contains("ERROR") && !log.contains("cannot raise") && !log.contains("cannot tell"), "{log}");
    assert_eq!(
        host.run(&["stat", "-c", "%a %U", "/var/lib/burdock", "/run/burdock", "/var/log/burdock"]),
        ["700 burdock"; 3].join("\n")
    );
    host.container.ok(&["systemctl", "stop", "burdock"]);
    assert_eq!((host.property("ActiveState"), host.property("Result")), ("inactive".to_owned(), "success".to_owned()));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn a_package_update_keeps_the_process_and_a_purge_ends_it() {
    let store = Store::open();
    let host = Host::start(&store);
    let before = host.property("MainPID");
    host.container.ok(&["dpkg", "--install", "/root/burdock.deb"]);
    assert_eq!((host.property("MainPID"), host.property("ActiveState")), (before.clone(), "active".to_owned()));
    host.container.ok(&["burdock", "upgrade"]);
    wait_until("another process is the main process", || host.property("MainPID") != before);
    let after = host.property("MainPID");
    assert_eq!(host.property("ActiveState"), "active");
    host.container.ok(&["dpkg", "--purge", "burdock"]);
    assert!(!output(&mut host.container.exec(&["kill", "-0", &after])).status.success(), "the process still runs");
    assert_eq!(host.property("LoadState"), "not-found");
}

/// Lets customers visit continuously during an action: each visit must find its session.
fn no_session_is_lost_during(host: &Host<'_>, action: impl FnOnce()) {
    let customers: Vec<Customer> = (0..8).map(|_| Customer::log_in(host.listen())).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads = customers.iter().map(|customer| {
            let stop = &stop;
            scope.spawn(move || {
                let mut visits = 0;
                while !stop.load(Ordering::Relaxed) {
                    assert!(customer.has_session(), "a session lost after {visits} visits");
                    visits += 1;
                }
                visits
            })
        });
        let threads: Vec<_> = threads.collect();
        let outcome = catch_unwind(AssertUnwindSafe(action));
        stop.store(true, Ordering::Relaxed);
        let visits: Vec<usize> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        assert!(visits.iter().all(|visits| *visits > 10), "{visits:?}");
    });
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn reloads_under_load_lose_no_session_and_an_invalid_file_fails() {
    let store = Store::open();
    let host = Host::start(&store);
    no_session_is_lost_during(&host, || {
        for weight in 2..12 {
            host.write(&site(host.ip).replace("id: shop-1,", &format!("id: shop-1, weight: {weight},")));
            host.container.ok(&["systemctl", "reload", "burdock"]);
        }
        host.write("upstreams: 7");
        assert!(!output(&mut host.container.exec(&["systemctl", "reload", "burdock"])).status.success());
    });
    assert_eq!(host.property("ActiveState"), "active");
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn upgrades_under_load_lose_no_session_and_stay_supervised() {
    let store = Store::open();
    let host = Host::start(&store);
    host.shorten_watchdog();
    let triggers: [&[&str]; 2] =
        [&["burdock", "upgrade"], &["systemctl", "kill", "--signal=USR2", "--kill-who=main", "burdock"]];
    no_session_is_lost_during(&host, || {
        for trigger in triggers.into_iter().cycle().take(6) {
            let before = host.property("MainPID");
            host.container.ok(trigger);
            wait_until("another process is the main process", || host.property("MainPID") != before);
            assert_eq!(host.property("ActiveState"), "active");
        }
    });
    let last = host.property("MainPID");
    wait_until("the earlier processes have ended", || host.run(&["pgrep", "-f", "^/usr/bin/burdock run"]) == last);
    // Longer than the watchdog timeout.
    thread::sleep(Duration::from_secs(4));
    assert_eq!((host.property("MainPID"), host.property("NRestarts")), (last, "0".to_owned()));
    // systemd restarts this process after a crash like any other.
    let customers: Vec<Customer> = (0..8).map(|_| Customer::log_in(host.listen())).collect();
    thread::sleep(Duration::from_millis(1500));
    host.wait_for_restart_after("-KILL");
    assert!(customers.iter().all(Customer::has_session));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn a_crashed_or_frozen_process_restarts_with_its_sessions() {
    let store = Store::open();
    let host = Host::start(&store);
    let customers: Vec<Customer> = (0..8).map(|_| Customer::log_in(host.listen())).collect();
    // A crash may lose the learned sessions of the last second.
    thread::sleep(Duration::from_millis(1500));
    host.wait_for_restart_after("-KILL");
    assert!(customers.iter().all(Customer::has_session));
    host.shorten_watchdog();
    host.wait_for_restart_after("-STOP");
    assert!(customers.iter().all(Customer::has_session));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn an_invalid_configuration_causes_no_restart_loop() {
    let store = Store::open();
    let host = Host::start(&store);
    host.container.ok(&["systemctl", "stop", "burdock"]);
    host.write("upstreams: 7");
    assert!(!output(&mut host.container.exec(&["systemctl", "start", "burdock"])).status.success());
    assert_eq!((host.property("ActiveState"), host.property("NRestarts")), ("failed".to_owned(), "0".to_owned()));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn logrotate_starts_a_new_log_file() {
    let store = Store::open();
    let host = Host::start(&store);
    let customer = Customer::log_in(host.listen());
    let lines = |file: &str| host.run(&["grep", "-c", "path=", file]);
    wait_until("the log is written", || lines("/var/log/burdock/access.log") == "1");
    host.container.ok(&["logrotate", "--force", "/etc/logrotate.d/burdock"]);
    assert!(customer.has_session());
    wait_until("the new log is written", || lines("/var/log/burdock/access.log") == "1");
    assert_eq!(lines("/var/log/burdock/access.log.1"), "1");
    assert_eq!(host.run(&["stat", "-c", "%a %U", "/var/log/burdock/access.log"]), "600 burdock");
}
