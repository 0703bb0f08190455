//! What Burdock sends to a service manager, over a socket like systemd's, and what `burdock ready` answers.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::harness::{Burdock, CommandOutput, Origin, Reply, Site, Successor, burdock, shop, wait_until, with_defaults};

const CHECKED: &str = "health_check: {http: {path: /}, interval: 60s, timeout: 60s}";

/// The service manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn at(site: &Site) -> Self {
        let path = site.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, path: path.display().to_string() }
    }

    fn start(&self, site: &Site, yaml: &str) -> Burdock {
        Burdock::launch_with(site, yaml, &[("NOTIFY_SOCKET", &self.path)])
    }

    fn receive(&self) -> String {
        let mut text = [0; 256];
        let length = self.socket.recv(&mut text).expect("a message");
        String::from_utf8(text[..length].to_vec()).unwrap().trim_end().to_owned()
    }

    fn assert_no_message(&self) {
        self.socket.set_nonblocking(true).unwrap();
        assert_eq!(self.socket.recv(&mut [0; 256]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        self.socket.set_nonblocking(false).unwrap();
    }
}

/// A server that answers no request until the sender is dropped.
fn silent(site: &Site) -> (Origin, mpsc::Sender<()>) {
    let origin = site.origin(1);
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    origin.respond_with(move |_| {
        let _ = gate.lock().unwrap().recv();
        Reply::status(200)
    });
    (origin, release)
}

#[test]
fn a_successor_becomes_the_main_process() {
    let site = Site::new();
    let _origins = site.origins::<1>();
    let manager = Manager::at(&site);
    let first = manager.start(&site, &shop(1, CHECKED));
    assert_eq!(manager.receive(), "READY=1");
    let successor = Successor::of(&first);
    let main = format!("MAINPID={}", successor.pid());
    wait_until("the successor is the main process", || match manager.receive() {
        message if message == main => true,
        // The successor sends READY=1 too.
        message => {
            assert_eq!(message, "READY=1");
            false
        }
    });
}

#[test]
fn ready_is_sent_only_after_the_first_health_checks() {
    let site = Site::new();
    let (origin, release) = silent(&site);
    let manager = Manager::at(&site);
    let burdock = manager.start(&site, &shop(1, CHECKED));
    wait_until("the check is under way", || burdock.readiness_status() == Some(503) && !origin.received().is_empty());
    manager.assert_no_message();
    drop(release);
    assert_eq!(manager.receive(), "READY=1");
    assert_eq!(burdock.readiness_status(), Some(200));
}

#[test]
fn a_reload_sends_reloading_then_ready_even_on_failure() {
    let site = Site::new();
    let _origin = site.origin(1);
    let manager = Manager::at(&site);
    let burdock = manager.start(&site, &shop(1, "sticky: cookie"));
    assert_eq!(manager.receive(), "READY=1");
    for text in [with_defaults(&shop(1, "balance: first")), "upstreams: 7".to_owned()] {
        site.write("burdock.yaml", &text);
        burdock.signal("HUP");
        let reloading = manager.receive();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert_eq!(manager.receive(), "READY=1");
    }
}

#[test]
fn shutdown_sends_one_stopping_message() {
    let site = Site::new();
    let _origin = site.origin(1);
    let manager = Manager::at(&site);
    let mut burdock = manager.start(&site, &shop(1, "sticky: cookie"));
    assert_eq!(manager.receive(), "READY=1");
    burdock.signal("TERM");
    assert_eq!(manager.receive(), "STOPPING=1");
    burdock.wait_for_exit_and_output();
    manager.assert_no_message();
}

#[test]
fn the_watchdog_is_pinged_when_systemd_asks_for_it() {
    let site = Site::new();
    let _origin = site.origin(1);
    let manager = Manager::at(&site);
    let variables = [("NOTIFY_SOCKET", &*manager.path), ("WATCHDOG_USEC", "300000")];
    let _burdock = Burdock::launch_with(&site, &shop(1, "sticky: cookie"), &variables);
    assert_eq!(manager.receive(), "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.receive(), "WATCHDOG=1");
    }
}

#[test]
fn an_unreachable_service_manager_does_not_stop_serving() {
    let site = Site::new();
    let _origin = site.origin(1);
    let burdock = Burdock::start_with(&site, &shop(1, "sticky: cookie"), ("NOTIFY_SOCKET", "/nobody/listens"));
    assert_eq!(burdock.get("/").status, 200);
    wait_until("the failure is logged", || burdock.stderr().contains("cannot notify the service manager (READY=1"));
}

fn ready(site: &Site) -> CommandOutput {
    burdock(["ready", "-c", site.path("burdock.yaml").to_str().unwrap()])
}

#[test]
fn the_ready_command_asks_by_socket_or_address() {
    for admin in ["", "admin: {address: $IP:9180, socket: none}"] {
        let site = Site::new();
        let _origin = site.origin(1);
        let yaml = format!("{admin}\n{}", shop(1, CHECKED));
        let mut running = Burdock::start(&site, &yaml);
        ready(&site).ok();
        running.kill();
        let finished = ready(&site);
        assert_eq!(finished.code, Some(1));
        assert!(finished.stderr.starts_with("burdock: cannot reach the process: "), "{finished:?}");
    }
}

#[test]
fn the_ready_command_fails_before_the_first_health_checks() {
    let site = Site::new();
    let (origin, release) = silent(&site);
    let burdock = Burdock::launch(&site, &shop(1, CHECKED), &[]);
    wait_until("burdock listens and the check is under way", || {
        burdock.readiness_status() == Some(503) && !origin.received().is_empty()
    });
    let finished = ready(&site);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.starts_with("burdock: not ready: "), "{finished:?}");
    drop(release);
    wait_until("burdock is ready", || ready(&site).code == Some(0));
}
