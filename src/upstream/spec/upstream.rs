//! An upstream as the configuration describes it: values only, all valid.

use std::sync::Arc;
use std::time::Duration;

use super::server::ServerSpec;
use super::tcp_keepalive::TcpKeepalive;
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
    /// Entries whose servers are found by name. Those servers are not in `servers` before they are found.
    pub discovery: Vec<DiscoverySpec>,
    pub balance: Balance,
    pub failover: Failover,
    /// None: servers count as up until requests eject them.
    pub health_check: Option<CheckSpec>,
    /// None: the outcomes of requests do not affect a server's health.
    pub passive_health: Option<OutlierSpec>,
    /// If a smaller share of a tier's servers is up, new sessions ignore health. None: never.
    pub panic_threshold: Option<Percent>,
    /// The time over which a server that came up, or was added, ramps up to its full weight for new sessions. None: at
    /// once.
    pub slow_start: Option<Duration>,
    pub on_marked_down: OnMarkedDown,
    pub connections: ConnectionSharing,
    pub timeouts: Timeouts,
    /// None: a server that vanished is noticed by the timeouts only.
    pub tcp_keepalive: Option<TcpKeepalive>,
    pub retry: Retry,
    pub limits: Limits,
    pub queue: QueueSpec,
    pub removal: Removal,
}

/// What happens to a server and its sessions when it is removed from the configuration.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Removal {
    /// It drains: it keeps its sessions until they are gone, and is then removed.
    #[default]
    Drain,
    /// The same, but at most for this time.
    DrainFor(Duration),
    /// It is removed at once, and its sessions have an unknown server.
    Forget,
}

/// What happens to client connections with a request or an upgraded stream at a server that goes down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnMarkedDown {
    /// They are kept, as long as the server keeps them.
    #[default]
    Keep,
    /// They are closed, so that clients reconnect and are sent to other servers.
    Close,
}

/// Which requests share a connection to a server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ConnectionSharing {
    /// Those of all clients, except that a client connection with a connection-based login (NTLM, Negotiate) has its
    /// own.
    #[default]
    Shared,
    /// Those of one client connection.
    Private,
}

/// Timeouts for each step of a request to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    pub connect: Duration,
    /// The longest time without data while waiting for a response or reading it.
    pub read: Duration,
    /// The longest time that one write may block.
    pub write: Duration,
    /// How long an idle connection to a server is kept. It should be less than the server's own keep-alive, or requests
    /// race with the server closing the connection.
    pub keepalive: Duration,
    /// The longest time without data on an upgraded (WebSocket) stream.
    pub upgraded: Duration,
}

/// The queue of a server that is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueSpec {
    /// How many requests may wait at one server.
    pub length: u32,
    /// How long a new session waits if all servers that would accept it are full. None: it does not wait.
    pub new_sessions: Option<Duration>,
}

/// The limits for requests to this upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of the request's header block; larger ones get 431.
    pub header_bytes: usize,
    /// Bytes of the request's body; larger ones get 413.
    pub body: Option<u64>,
}

impl UpstreamSpec {
    /// The same with the servers that were found. Call it on the configured value, never on a result of this function,
    /// whose `servers` contain those found before.
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
