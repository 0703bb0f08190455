//! What the configuration says of the process itself: listeners, admin address, logs, keys, directories. Values only; the shell
//! acts on them.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::balancer::spec::Plan;
use crate::config::schema::errors::Warning;
use crate::http::forwarded::{Style, TrustedProxies};
use crate::session::named_secret::SecretSource;

/// A whole configuration: every value in it is valid, and everything that one value says of another holds.
#[derive(Clone, Debug)]
pub struct Config {
    pub listeners: Vec<Listener>,
    pub admin: Admin,
    pub process: Process,
    pub access_log: AccessLog,
    /// The first seals. Empty: one is made and kept in the state directory.
    pub keys: Vec<SecretSource>,
    /// What the names of learned sessions are fingerprinted with. None: one is made and kept in the state directory.
    pub fingerprint_key: Option<SecretSource>,
    pub plan: Plan,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Warning>,
    /// What it was read from.
    pub text: Text,
}

/// The text of a configuration. Too long to be shown where the rest is.
#[derive(Clone, Default)]
pub struct Text(pub Arc<str>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// An address that clients come to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    pub address: SocketAddr,
    pub trusted_proxies: TrustedProxies,
    pub forwarded: Style,
    /// From a request's first byte to the end of its header block; then 408.
    pub header_timeout: Duration,
    /// How long a connection without a request is kept.
    pub keepalive_timeout: Duration,
}

/// Where metrics, health and the API are served.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admin {
    pub address: Option<SocketAddr>,
    /// A Unix socket for its owner alone.
    pub socket: Option<PathBuf>,
    /// Where the token is that opens the API at `address`. None: it is not served there.
    pub token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Per service; None: as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    pub work_stealing: bool,
    pub state_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub shutdown: Shutdown,
    /// Bytes of the read buffer of a client connection.
    pub connection_buffer: usize,
    /// Idle connections to servers that each thread keeps.
    pub upstream_pool: usize,
    /// How often the configuration file is looked at, to take up what has changed.
    pub watch: Option<Duration>,
}

/// How the process leaves on SIGTERM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shutdown {
    /// How long it goes on accepting while `/readyz` already says no.
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
    /// Appended to; reopened on SIGUSR1.
    File(PathBuf),
    Off,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}
