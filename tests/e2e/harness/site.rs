//! A test's own loopback address and directory.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::{Burdock, Origin, OriginProcess};

/// A site that holds this port of an address owns the address.
const RESERVATION: u16 = 8000;
/// The port where Burdock listens.
const LISTEN: u16 = 8080;
const ADMIN: u16 = 9180;
/// Server `web-N` listens on this port plus N.
const SERVERS: u16 = 9000;

static NEXT_SITE: AtomicU32 = AtomicU32::new(0);

/// An address in 127.0.0.0/8 that no other test has, and a directory that is deleted with the site.
pub struct Site {
    ip: Ipv4Addr,
    dir: TempDir,
    _reservation: TcpListener,
}

impl Site {
    pub fn new() -> Self {
        let (ip, reservation) =
            std::iter::repeat_with(candidate).take(1000).find_map(reserve).expect("no free loopback address");
        let dir = TempDir::with_prefix("burdock-").unwrap();
        for private in ["state", "run"] {
            std::fs::DirBuilder::new().mode(0o700).create(dir.path().join(private)).unwrap();
        }
        Self { ip, dir, _reservation: reservation }
    }

    pub fn listen(&self) -> SocketAddr {
        self.at(LISTEN)
    }

    pub fn admin(&self) -> SocketAddr {
        self.at(ADMIN)
    }

    /// The default path of the API's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run/admin.sock")
    }

    /// The address of the server `web-N`.
    pub fn server(&self, n: u16) -> SocketAddr {
        self.at(SERVERS + n)
    }

    pub fn at(&self, port: u16) -> SocketAddr {
        (self.ip, port).into()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file of this site, with `$IP` and `$DIR` filled in.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, self.filled(text)).unwrap();
        path
    }

    pub fn filled(&self, text: &str) -> String {
        text.replace("$IP", &self.ip.to_string()).replace("$DIR", &self.dir().display().to_string())
    }

    /// A server in this process, with the name `web-N`.
    pub fn origin(&self, n: u16) -> Origin {
        Origin::start(&name(n), self.server(n))
    }

    /// The servers `web-1` to `web-COUNT`.
    pub fn origins<const COUNT: usize>(&self) -> [Origin; COUNT] {
        std::array::from_fn(|n| self.origin(n as u16 + 1))
    }

    /// A server in its own process, which can be killed.
    pub fn origin_process(&self, n: u16) -> OriginProcess {
        OriginProcess::start(&name(n), self.server(n))
    }

    /// A running Burdock; see [`Burdock::start`].
    pub fn burdock(&self, yaml: &str) -> Burdock {
        Burdock::start(self, yaml)
    }

    /// A running Burdock with the servers `web-1` to `web-COUNT` in one upstream, `shop`, which also has these settings.
    pub fn shop(&self, count: u16, settings: &str) -> Burdock {
        self.burdock(&shop(count, settings))
    }
}

/// The configuration of [`Site::shop`].
pub fn shop(count: u16, settings: &str) -> String {
    let servers: String =
        (1..=count).map(|n| format!("      - {{id: {}, address: $IP:{}}}\n", name(n), SERVERS + n)).collect();
    let settings: String = settings.lines().map(|line| format!("    {}\n", line)).collect();
    format!("upstreams:\n  shop:\n    servers:\n{servers}{settings}")
}

fn name(n: u16) -> String {
    format!("web-{n}")
}

/// Spreads process ids over 127.1.0.0 to 127.254.255.255, and the sites of one process far apart.
fn candidate() -> Ipv4Addr {
    let mixed = std::process::id()
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add(NEXT_SITE.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x85EB_CA6B));
    let [a, b, c, _] = mixed.to_be_bytes();
    Ipv4Addr::new(127, a % 254 + 1, b, c)
}

fn reserve(ip: Ipv4Addr) -> Option<(Ipv4Addr, TcpListener)> {
    TcpListener::bind((ip, RESERVATION)).ok().map(|listener| (ip, listener))
}
