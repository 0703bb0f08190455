//! An upstream as the configuration describes it: values only, all of them valid.

use std::sync::Arc;
use std::time::Duration;

use super::server::ServerSpec;
use crate::ids::UpstreamName;
use crate::upstream::balance::Balance;
use crate::upstream::discovery::{Discovered, DiscoverySpec, expand};
use crate::upstream::failover::Failover;
use crate::upstream::health::CheckSpec;
use crate::upstream::outlier::OutlierSpec;
use crate::upstream::percent::Percent;
use crate::upstream::retry::Retry;

/// A named group of servers and how it is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamSpec {
    pub name: UpstreamName,
    pub servers: Vec<Arc<ServerSpec>>,
    /// Entries that stand for servers found by name; those are not among `servers` before they are found.
    pub discovery: Vec<DiscoverySpec>,
    pub balance: Balance,
    pub failover: Failover,
    /// None: servers count as up, and each request finds out for itself.
    pub health_check: Option<CheckSpec>,
    /// None: what becomes of requests says nothing of a server's health.
    pub passive_health: Option<OutlierSpec>,
    /// When fewer of a tier's servers than this share are up, new sessions are placed whatever health says. None: never.
    pub panic_threshold: Option<Percent>,
    /// How long the share of new sessions of a server that has come up, or was added, grows to what its weight says. None:
    /// it has all of it at once.
    pub slow_start: Option<Duration>,
    pub on_marked_down: OnMarkedDown,
    pub connections: ConnectionSharing,
    pub timeouts: Timeouts,
    pub retry: Retry,
    pub limits: Limits,
    pub queue: QueueSpec,
    pub removal: Removal,
}

/// What becomes of a server, and of the sessions that are tied to it, when it is taken out of the configuration.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Removal {
    /// It leaves: it keeps its sessions until they are gone, and is then forgotten.
    #[default]
    Drain,
    /// The same, but for so long at most.
    DrainFor(Duration),
    /// It is gone at once; its sessions are those of an unknown server.
    Forget,
}

/// What becomes of client connections whose requests or upgraded streams are at a server that goes down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnMarkedDown {
    /// They go on, as far as the server lets them.
    #[default]
    Keep,
    /// They are closed, so that clients come again and are sent elsewhere.
    Close,
}

/// Whose requests share a connection to a server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ConnectionSharing {
    /// Everybody's. But a client connection with a login that belongs to the connection (NTLM, Negotiate) has its own.
    #[default]
    Shared,
    /// Those of one client connection.
    Private,
}

/// How long each step of talking to a server may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    pub connect: Duration,
    /// Longest silence while a response is awaited or read.
    pub read: Duration,
    /// Longest time that one write may be stuck.
    pub write: Duration,
    /// How long an idle connection to a server is kept: less than the server's own keep-alive, or requests race its closing.
    pub keepalive: Duration,
    /// Longest silence on an upgraded (WebSocket) stream.
    pub upgraded: Duration,
}

/// Who may wait at a server that is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueSpec {
    /// How many requests may wait at one server.
    pub length: u32,
    /// How long one waits that no tie decides, where every server that would take it is full. None: it does not wait.
    pub new_sessions: Option<Duration>,
}

/// What a request to this upstream may measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the request's header block; above it 431.
    pub header_bytes: usize,
    /// Bytes of the request's body; above it 413.
    pub body: Option<u64>,
}

impl UpstreamSpec {
    /// The same with the servers that were found. To be asked of what was configured, never of what this gave: there the
    /// servers found before are among `servers`.
    pub fn expanded(&self, discovered: &Discovered) -> Self {
        Self { servers: expand(&self.servers, &self.discovery, discovered), ..self.clone() }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
            keepalive: Duration::from_secs(4),
            upgraded: Duration::from_secs(3600),
        }
    }
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self { length: 256, new_sessions: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 32 * 1024, body: None }
    }
}
