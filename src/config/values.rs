//! The configuration of the process: listeners, admin address, logs, keys and directories. Values only; the shell
//! applies them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::balancer::spec::Plan;
use crate::config::schema::errors::Warning;
use crate::http::forwarded::{Forwarding, Style, TrustedProxies};
use crate::http::h1::upgrade::AllowedUpgrades;
use crate::session::named_secret::SecretSource;
use crate::upstream::spec::TcpKeepalive;

/// A whole configuration. All values are valid, and consistent with each other.
#[derive(Clone, Debug)]
pub struct Config {
    pub listeners: Vec<Listener>,
    pub admin: Admin,
    pub process: Process,
    pub access_log: AccessLog,
    /// The first one seals. Empty: Burdock creates one in the state directory.
    pub keys: Vec<SecretSource>,
    /// Fingerprints the names of learned sessions. None: Burdock creates one in the state directory.
    pub fingerprint_key: Option<SecretSource>,
    pub plan: Plan,
    /// What is allowed but probably not intended.
    pub warnings: Vec<Warning>,
    /// The text that it was parsed from.
    pub text: Text,
}

/// The text of a configuration. Debug output omits it, since it is long.
#[derive(Clone, Default)]
pub struct Text(pub Arc<str>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// An address that clients connect to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    pub address: SocketAddr,
    pub trusted_proxies: TrustedProxies,
    pub forwarded: Style,
    /// The time from a request's first byte to the end of its header block; then 408.
    pub header_timeout: Duration,
    /// How long an idle connection is kept.
    pub keepalive_timeout: Duration,
    /// None: a client that vanished is noticed by the timeouts only.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How long a client may pause while it sends a body; then 408.
    pub body_timeout: Duration,
    /// In bytes per second, on average over the time that a body is waited for; 0: any.
    pub min_body_rate: u64,
    /// How long a client may read nothing of a response.
    pub write_timeout: Duration,
    pub half_close: HalfClose,
    pub upgrades: AllowedUpgrades,
}

/// What happens when a client closes its sending side before it has its response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HalfClose {
    /// It is taken for gone.
    Abort,
    Answer,
}

impl Listener {
    pub fn forwarding(&self) -> Forwarding<'_> {
        Forwarding { trusted: &self.trusted_proxies, style: self.forwarded }
    }

    /// Whether a connection from this host to this address arrives here. A listener for all addresses has all of this host, of
    /// which only the loopback addresses are known here.
    pub fn is_reached_at(&self, address: SocketAddr) -> bool {
        let (own, to) = (self.address.ip(), address.ip().to_canonical());
        let is_here = own.to_canonical() == to || self.is_for_all() && to.is_loopback() && self.accepts_family_of(to);
        self.address.port() == address.port() && is_here
    }

    /// Whether it listens on all addresses of this host.
    pub fn is_for_all(&self) -> bool {
        self.address.ip().is_unspecified()
    }

    /// `[::]` accepts IPv4 too.
    pub fn accepts_family_of(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() || self.address.is_ipv6()
    }
}

/// Where metrics, health and the API are served.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admin {
    pub address: Option<SocketAddr>,
    /// A Unix socket for its owner only.
    pub socket: Option<PathBuf>,
    /// The file with the token for the API at `address`. None: the API is not served there.
    pub token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Per service; None: one per core.
    pub threads: Option<NonZeroUsize>,
    pub work_stealing: bool,
    pub state_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub shutdown: Shutdown,
    /// Size of the read buffer of a client connection.
    pub connection_buffer: usize,
    /// Idle connections to servers that each thread keeps.
    pub upstream_pool: usize,
    pub http1: Http1,
    /// How often the configuration file is checked for changes, which are then reloaded.
    pub watch: Option<Duration>,
}

/// Which engine serves HTTP/1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Http1 {
    Pingora,
    /// Our own, which takes requests without a body; Pingora serves the others.
    Native,
}

/// Graceful shutdown on SIGTERM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shutdown {
    /// How long requests are still accepted after `/readyz` reports that the process is not ready.
    pub lame_duck: Duration,
    /// How long requests in flight may take after that.
    pub grace: Duration,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessLog {
    pub to: LogTarget,
    pub format: LogFormat,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogTarget {
    Stdout,
    /// Opened for appending; reopened on SIGUSR1.
    File(PathBuf),
    Off,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}
