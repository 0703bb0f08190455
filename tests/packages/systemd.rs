//! The package in a real systemd: a container whose first process it is.

use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::debian::package;
use crate::podman::{Container, Store};
use crate::root;
use crate::shop::{Customer, address, wait_until};
use crate::tools::{output, said};

/// Burdock, on a port below 1024, before two shops whose sessions it learns.
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
    /// With the package installed, its configuration written, and Burdock started.
    fn start(store: &'a Store) -> Self {
        store.import(&root::with_systemd(), "localhost/host", &[]);
        let container = store.start(&["--systemd", "always"], &["localhost/host", "/sbin/init"]);
        let host = Self { container, ip: address() };
        wait_until("systemd is up", || host.says(&["systemctl", "is-system-running"]).contains("running"));
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

    fn says(&self, line: &[&str]) -> String {
        said(&output(&mut self.container.exec(line))).trim().to_owned()
    }

    fn property(&self, name: &str) -> String {
        self.says(&["systemctl", "show", "--value", "--property", name, "burdock"])
    }

    fn listen(&self) -> SocketAddr {
        (self.ip, 80).into()
    }

    /// Starts it anew with a watchdog of little patience.
    fn watch_closely(&self) {
        self.container.ok(&["mkdir", "-p", "/etc/systemd/system/burdock.service.d"]);
        let file = "/etc/systemd/system/burdock.service.d/test.conf";
        self.container.write(file, b"[Service]\nWatchdogSec=2s\n");
        self.container.ok(&["systemctl", "daemon-reload"]);
        self.container.ok(&["systemctl", "restart", "burdock"]);
    }

    /// Sends a signal to the main process and waits for another one that is ready.
    fn is_replaced_after(&self, signal: &str) {
        let before = self.property("MainPID");
        self.container.ok(&["kill", signal, &before]);
        wait_until("another process is ready", || {
            self.property("MainPID") != before && self.property("ActiveState") == "active"
        });
    }
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn when_systemd_says_that_it_is_started_it_serves() {
    let store = Store::open();
    let host = Host::start(&store);
    assert!(Customer::begin(host.listen()).is_still_there());
    assert_eq!(host.property("StatusErrno"), "0");
    let log = host.says(&["journalctl", "--no-pager", "--unit", "burdock"]);
    assert!(!log.contains("ERROR") && !log.contains("cannot raise") && !log.contains("cannot tell"), "{log}");
    assert_eq!(
        host.says(&["stat", "-c", "%a %U", "/var/lib/burdock", "/run/burdock", "/var/log/burdock"]),
        ["700 burdock"; 3].join("\n")
    );
    host.container.ok(&["systemctl", "stop", "burdock"]);
    assert_eq!((host.property("ActiveState"), host.property("Result")), ("inactive".to_owned(), "success".to_owned()));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn an_update_of_the_package_leaves_the_process_to_be_upgraded_and_its_removal_ends_it() {
    let store = Store::open();
    let host = Host::start(&store);
    let before = host.property("MainPID");
    host.container.ok(&["dpkg", "--install", "/root/burdock.deb"]);
    assert_eq!((host.property("MainPID"), host.property("ActiveState")), (before.clone(), "active".to_owned()));
    host.container.ok(&["burdock", "upgrade"]);
    wait_until("there is another main process", || host.property("MainPID") != before);
    let after = host.property("MainPID");
    assert_eq!(host.property("ActiveState"), "active");
    host.container.ok(&["dpkg", "--purge", "burdock"]);
    assert!(!output(&mut host.container.exec(&["kill", "-0", &after])).status.success(), "it still runs");
    assert_eq!(host.property("LoadState"), "not-found");
}

/// Lets customers visit without a pause while something happens to the host: each visit must find its session.
fn nobody_notices(host: &Host<'_>, happens: impl FnOnce()) {
    let customers: Vec<Customer> = (0..8).map(|_| Customer::begin(host.listen())).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let shopping = customers.iter().map(|customer| {
            let over = &over;
            scope.spawn(move || {
                let mut visits = 0;
                while !over.load(Ordering::Relaxed) {
                    assert!(customer.is_still_there(), "a session lost after {visits} visits");
                    visits += 1;
                }
                visits
            })
        });
        let shopping: Vec<_> = shopping.collect();
        let happened = catch_unwind(AssertUnwindSafe(happens));
        over.store(true, Ordering::Relaxed);
        let visits: Vec<usize> = shopping.into_iter().map(|customer| customer.join().unwrap()).collect();
        if let Err(panic) = happened {
            resume_unwind(panic);
        }
        assert!(visits.iter().all(|visits| *visits > 10), "{visits:?}");
    });
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn reloads_under_load_lose_nothing_and_a_wrong_file_fails_and_changes_nothing() {
    let store = Store::open();
    let host = Host::start(&store);
    nobody_notices(&host, || {
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
fn upgrades_under_load_lose_nothing_and_leave_a_main_process_that_is_watched_and_started_again() {
    let store = Store::open();
    let host = Host::start(&store);
    host.watch_closely();
    let ways: [&[&str]; 2] =
        [&["burdock", "upgrade"], &["systemctl", "kill", "--signal=USR2", "--kill-who=main", "burdock"]];
    nobody_notices(&host, || {
        for way in ways.into_iter().cycle().take(6) {
            let before = host.property("MainPID");
            host.container.ok(way);
            wait_until("there is another main process", || host.property("MainPID") != before);
            assert_eq!(host.property("ActiveState"), "active");
        }
    });
    let last = host.property("MainPID");
    wait_until("those before have ended", || host.says(&["pgrep", "-f", "^/usr/bin/burdock run"]) == last);
    // Longer than the watchdog waits.
    thread::sleep(Duration::from_secs(4));
    assert_eq!((host.property("MainPID"), host.property("NRestarts")), (last, "0".to_owned()));
    // A crash of it is an ordinary crash.
    let customers: Vec<Customer> = (0..8).map(|_| Customer::begin(host.listen())).collect();
    thread::sleep(Duration::from_millis(1500));
    host.is_replaced_after("-KILL");
    assert!(customers.iter().all(Customer::is_still_there));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn after_a_crash_or_a_stop_of_all_its_threads_it_is_back_with_its_sessions() {
    let store = Store::open();
    let host = Host::start(&store);
    let customers: Vec<Customer> = (0..8).map(|_| Customer::begin(host.listen())).collect();
    // What a crash may cost of learned sessions is the last second.
    thread::sleep(Duration::from_millis(1500));
    host.is_replaced_after("-KILL");
    assert!(customers.iter().all(Customer::is_still_there));
    host.watch_closely();
    host.is_replaced_after("-STOP");
    assert!(customers.iter().all(Customer::is_still_there));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn a_wrong_configuration_is_not_tried_again_and_again() {
    let store = Store::open();
    let host = Host::start(&store);
    host.container.ok(&["systemctl", "stop", "burdock"]);
    host.write("upstreams: 7");
    assert!(!output(&mut host.container.exec(&["systemctl", "start", "burdock"])).status.success());
    assert_eq!((host.property("ActiveState"), host.property("NRestarts")), ("failed".to_owned(), "0".to_owned()));
}

#[test]
#[ignore = "needs root, debootstrap and podman: scripts/test --full"]
fn a_rotated_log_is_written_anew() {
    let store = Store::open();
    let host = Host::start(&store);
    let customer = Customer::begin(host.listen());
    let lines = |file: &str| host.says(&["grep", "-c", "path=", file]);
    wait_until("the log is written", || lines("/var/log/burdock/access.log") == "1");
    host.container.ok(&["logrotate", "--force", "/etc/logrotate.d/burdock"]);
    assert!(customer.is_still_there());
    wait_until("the new one is written", || lines("/var/log/burdock/access.log") == "1");
    assert_eq!(lines("/var/log/burdock/access.log.1"), "1");
    assert_eq!(host.says(&["stat", "-c", "%a %U", "/var/log/burdock/access.log"]), "600 burdock");
}
