//! A new process takes over the sockets of the old one.

use std::path::Path;

use crate::harness::{Burdock, Site, Storm, rounds, shop, signal, wait_until};

#[test]
fn a_successor_takes_over_and_no_request_fails() {
    let site = Site::take();
    let _origins = site.origins::<2>();
    let yaml = shop(2, "sticky: cookie");
    let mut old = site.burdock(&yaml);
    let storm = Storm::begin(old.listen, 4);
    storm.pass(rounds(500));
    let new = Burdock::launch(&site, &yaml, &["-u"]);
    old.signal("QUIT");
    wait_until("the old process ends", || {
        storm.pass(1);
        old.has_ended().is_some()
    });
    storm.pass(rounds(500));
    for seen in storm.end() {
        assert!(seen.iter().all(|seen| seen.outcome == Ok(200)), "{:?}", seen.iter().find(|seen| seen.outcome != Ok(200)));
        assert!(seen.iter().all(|one| one.server == seen[0].server), "a tie was lost");
    }
    assert_eq!(new.readiness(), Some(200));
}

#[test]
fn a_daemon_runs_on_after_its_command_and_leaves_its_process_id() {
    let site = Site::take();
    let _origins = site.origins::<1>();
    let mut command = Burdock::launch(&site, &shop(1, "sticky: cookie"), &["-d"]);
    wait_until("it is ready", || command.readiness() == Some(200));
    assert!(command.wait().success());
    let daemon = Daemon::of(&site);
    assert_eq!(command.get("/served").status, 200);
    command.line("/served");
    assert_eq!(std::fs::read_to_string(site.path("run/burdock.pid")).unwrap().trim(), daemon.0.to_string());
    signal(daemon.0, "TERM");
    wait_until("the daemon ends", || !daemon.is_there());
}

/// A process that is nobody's child, ended when dropped.
struct Daemon(u32);

impl Daemon {
    /// The one process whose command line names the site's folder.
    fn of(site: &Site) -> Self {
        let folder = site.dir().display().to_string();
        let mut numbers =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let named = |process: &u32| {
            std::fs::read_to_string(format!("/proc/{process}/cmdline")).is_ok_and(|line| line.contains(&folder))
        };
        Self(numbers.find(named).expect("a daemon"))
    }

    fn is_there(&self) -> bool {
        Path::new(&format!("/proc/{}", self.0)).exists()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_there() {
            signal(self.0, "KILL");
        }
    }
}
