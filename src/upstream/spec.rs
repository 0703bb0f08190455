//! An upstream as the configuration describes it: values only, all of them valid. The live side is in [`super::Upstream`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::address::{Address, InvalidAddress};
use super::balance::Balance;
use super::discovery::{Discovered, DiscoverySpec, expand};
use super::failover::Failover;
use super::health::CheckSpec;
use super::outlier::OutlierSpec;
use super::retry::Retry;
use crate::ids::{ServerId, UpstreamName};
use crate::time::UnixSeconds;
use crate::upstream::percent::Share;

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
    pub panic_threshold: Option<Share>,
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

/// The hash ring numbers servers in 16 bits, and would send keys to the wrong one beyond that.
pub const MOST_SERVERS: usize = 65_536;

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerSpec {
    pub id: ServerId,
    /// Its name in plain tokens and in routes, which servers may share (nginx's `route`, HAProxy's server `cookie`, jvmRoute);
    /// None: its id.
    pub route: Option<ServerId>,
    pub address: Address,
    /// The Host header that its checks send, where that is not its address: the name by which it was found.
    pub host: Option<Arc<str>>,
    pub weight: Weight,
    pub tier: Tier,
    /// Requests (upgraded streams included) that it may have in flight from this balancer.
    pub max_conns: Option<NonZeroU32>,
    pub admin: Admin,
}

/// A server's share of new sessions relative to its neighbours: 0 to 256. With 0 it keeps its sessions and gets no new ones.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// A weight above [`Weight::MAX`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a weight is a whole number from 0 to {}", Weight::MAX)]
pub struct InvalidWeight;

/// When a server is used: primaries first, backups only when no primary may take new sessions.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    #[default]
    Primary,
    Backup,
}

/// What the operator wants of a server.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    #[default]
    Ready,
    /// Keeps its sessions, gets no new ones; until this date, if one was set, and from then on nothing.
    Drain { until: Option<UnixSeconds>, then: Then },
    /// Gets nothing, its health is not checked.
    Maint,
    /// It is no longer wanted and goes when its sessions are gone, or on this date; until then as when draining.
    Leaving { until: Option<UnixSeconds> },
}

/// What becomes of the sessions that are left when a drain is over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// What the upstream's failover says for `drained`.
    #[default]
    AsConfigured,
    /// They move to other servers for good.
    Move,
    /// They are answered with 503 until their server takes them again.
    Refuse,
}

impl Admin {
    /// A drain without an end.
    pub const DRAIN: Self = Self::Drain { until: None, then: Then::AsConfigured };

    /// Whether its sessions have been served for as long as they were to be.
    pub fn is_over(self, now: UnixSeconds) -> bool {
        match self {
            Self::Ready | Self::Maint => false,
            Self::Drain { until, .. } | Self::Leaving { until } => until.is_some_and(|until| until <= now),
        }
    }

    /// The word for it, in the configuration, in logs and for operators.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain { .. } => "drain",
            Self::Maint => "maint",
            Self::Leaving { .. } => "leaving",
        }
    }
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
    /// Octets of the request's header block; above it 431.
    pub header_bytes: usize,
    /// Octets of the request's body; above it 413.
    pub body: Option<u64>,
}

impl UpstreamSpec {
    /// The same with the servers that were found. To be asked of what was configured, never of what this gave: there the
    /// servers found before are among `servers`.
    pub fn expanded(&self, discovered: &Discovered) -> Self {
        Self { servers: expand(&self.servers, &self.discovery, discovered), ..self.clone() }
    }
}

impl Weight {
    pub const MAX: u16 = 256;
    pub const ONE: Self = Self(1);

    /// Takes a weight of 0 to 256.
    ///
    /// # Errors
    /// [`InvalidWeight`] above that.
    pub fn new(weight: u16) -> Result<Self, InvalidWeight> {
        if weight > Self::MAX { Err(InvalidWeight) } else { Ok(Self(weight)) }
    }

    pub fn get(self) -> u32 {
        u32::from(self.0)
    }
}

impl TryFrom<u16> for Weight {
    type Error = InvalidWeight;

    fn try_from(weight: u16) -> Result<Self, InvalidWeight> {
        Self::new(weight)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
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
