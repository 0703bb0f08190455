//! What a service manager hears from Burdock, at a socket as systemd has one, and what one that asks is told.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::harness::{Burdock, Finished, Origin, Reply, Site, Successor, burdock, complete, shop, wait_until};

const CHECKED: &str = "health_check: {http: {path: /}, interval: 60s, timeout: 60s}";

/// The manager's end.
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

    fn hears(&self) -> String {
        let mut text = [0; 256];
        let length = self.socket.recv(&mut text).expect("a message");
        String::from_utf8(text[..length].to_vec()).unwrap().trim_end().to_owned()
    }

    fn has_heard_nothing(&self) {
        self.socket.set_nonblocking(true).unwrap();
        assert_eq!(self.socket.recv(&mut [0; 256]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        self.socket.set_nonblocking(false).unwrap();
    }
}

/// A server that answers nobody until what comes with it is dropped.
fn silent(site: &Site) -> (Origin, mpsc::Sender<()>) {
    let origin = site.origin(1);
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    origin.behave(move |_| {
        let _ = gate.lock().unwrap().recv();
        Reply::status(200)
    });
    (origin, release)
}

#[test]
fn a_successor_becomes_the_main_process() {
    let site = Site::take();
    let _origins = site.origins::<1>();
    let manager = Manager::at(&site);
    let first = manager.start(&site, &shop(1, CHECKED));
    assert_eq!(manager.hears(), "READY=1");
    let successor = Successor::of(&first);
    let main = format!("MAINPID={}", successor.process());
    wait_until("the main process is another one", || match manager.hears() {
        said if said == main => true,
        // The successor says that it is ready, too, when it is.
        said => {
            assert_eq!(said, "READY=1");
            false
        }
    });
}

#[test]
fn it_is_ready_when_its_servers_have_been_checked_and_not_before() {
    let site = Site::take();
    let (origin, release) = silent(&site);
    let manager = Manager::at(&site);
    let burdock = manager.start(&site, &shop(1, CHECKED));
    wait_until("the check is under way", || burdock.readiness() == Some(503) && !origin.received().is_empty());
    manager.has_heard_nothing();
    drop(release);
    assert_eq!(manager.hears(), "READY=1");
    assert_eq!(burdock.readiness(), Some(200));
}

#[test]
fn a_reload_is_told_from_its_beginning_to_its_end_also_when_it_fails() {
    let site = Site::take();
    let _origin = site.origin(1);
    let manager = Manager::at(&site);
    let burdock = manager.start(&site, &shop(1, "sticky: cookie"));
    assert_eq!(manager.hears(), "READY=1");
    for text in [complete(&shop(1, "balance: first")), "upstreams: 7".to_owned()] {
        site.write("burdock.yaml", &text);
        burdock.signal("HUP");
        let beginning = manager.hears();
        assert!(beginning.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{beginning}");
        assert_eq!(manager.hears(), "READY=1");
    }
}

#[test]
fn it_says_that_it_leaves() {
    let site = Site::take();
    let _origin = site.origin(1);
    let manager = Manager::at(&site);
    let mut burdock = manager.start(&site, &shop(1, "sticky: cookie"));
    assert_eq!(manager.hears(), "READY=1");
    burdock.signal("TERM");
    assert_eq!(manager.hears(), "STOPPING=1");
    burdock.wait();
    manager.has_heard_nothing();
}

#[test]
fn it_says_that_it_lives_for_as_long_as_it_does_where_that_is_asked() {
    let site = Site::take();
    let _origin = site.origin(1);
    let manager = Manager::at(&site);
    let variables = [("NOTIFY_SOCKET", &*manager.path), ("WATCHDOG_USEC", "300000")];
    let _burdock = Burdock::launch_with(&site, &shop(1, "sticky: cookie"), &variables);
    assert_eq!(manager.hears(), "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
}

#[test]
fn a_manager_that_is_gone_keeps_nobody_from_being_served() {
    let site = Site::take();
    let _origin = site.origin(1);
    let burdock = Burdock::start_with(&site, &shop(1, "sticky: cookie"), ("NOTIFY_SOCKET", "/nobody/listens"));
    assert_eq!(burdock.get("/").status, 200);
    wait_until("it is told", || burdock.stderr().contains("cannot tell the service manager (READY=1"));
}

fn ready(site: &Site) -> Finished {
    burdock(["ready", "-c", site.path("burdock.yaml").to_str().unwrap()])
}

#[test]
fn whoever_asks_by_socket_or_by_address_is_told_whether_it_is_ready() {
    for admin in ["", "admin: {address: $IP:9180, socket: none}"] {
        let site = Site::take();
        let _origin = site.origin(1);
        let yaml = format!("{admin}\n{}", shop(1, CHECKED));
        let mut running = Burdock::start(&site, &yaml);
        ready(&site).ok();
        running.kill();
        let gone = ready(&site);
        assert_eq!(gone.code, Some(1));
        assert!(gone.stderr.starts_with("burdock: cannot ask: "), "{gone:?}");
    }
}

#[test]
fn whoever_asks_before_the_servers_have_been_checked_is_told_so() {
    let site = Site::take();
    let (origin, release) = silent(&site);
    let burdock = Burdock::launch(&site, &shop(1, CHECKED), &[]);
    wait_until("it listens", || burdock.readiness() == Some(503) && !origin.received().is_empty());
    let told = ready(&site);
    assert_eq!(told.code, Some(1));
    assert!(told.stderr.starts_with("burdock: not ready: "), "{told:?}");
    drop(release);
    wait_until("it is ready", || ready(&site).code == Some(0));
}
