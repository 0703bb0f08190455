//! A server as the configuration, or an override, describes it: values only, all of them valid.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::ServerId;
use crate::time::UnixSeconds;
use crate::upstream::address::Address;
use crate::upstream::weight::Weight;

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
