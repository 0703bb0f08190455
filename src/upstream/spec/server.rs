//! A server as the configuration or an override describes it: values only, all valid.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::ServerId;
use crate::time::UnixSeconds;
use crate::upstream::address::Address;
use crate::upstream::weight::Weight;

/// The hash ring numbers servers in 16 bits. With more servers it would send keys to the wrong one.
pub const MAX_SERVERS: usize = 65_536;

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerSpec {
    pub id: ServerId,
    /// Its name in plain tokens and in routes, which servers may share (nginx's `route`, HAProxy's server `cookie`, jvmRoute);
    /// None: its id.
    pub route: Option<ServerId>,
    pub address: Address,
    /// The Host header of its health checks, if not its address: the name by which it was found.
    pub host: Option<Arc<str>>,
    pub weight: Weight,
    pub tier: Tier,
    /// The most requests (including upgraded streams) that it may have in flight from this balancer.
    pub max_conns: Option<NonZeroU32>,
    pub admin: Admin,
}

/// When a server is used: primaries first, backups only if no primary accepts new sessions.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    #[default]
    Primary,
    Backup,
}

/// The administrative state of a server.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    #[default]
    Ready,
    /// Keeps its sessions and gets no new ones, until the deadline if there is one; then it gets nothing.
    Drain { until: Option<UnixSeconds>, then: Then },
    /// Gets nothing, and is not checked.
    Maint,
    /// Was removed from the configuration. It drains, and goes when its sessions are gone or at this date.
    Leaving { until: Option<UnixSeconds> },
}

/// What happens to the sessions that are left at the deadline of a drain.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// As in the upstream's failover for `drained`.
    #[default]
    AsConfigured,
    /// They move to other servers.
    Move,
    /// They get 503 until their server serves them again.
    Refuse,
}

impl Admin {
    /// A drain without a deadline.
    pub const DRAIN: Self = Self::Drain { until: None, then: Then::AsConfigured };

    /// The names of all states, as [`Self::as_str`] has them.
    pub const NAMES: [&str; 4] = ["ready", "drain", "maint", "leaving"];

    /// Whether the deadline of its drain has passed.
    pub fn deadline_passed(self, now: UnixSeconds) -> bool {
        match self {
            Self::Ready | Self::Maint => false,
            Self::Drain { until, .. } | Self::Leaving { until } => until.is_some_and(|until| until <= now),
        }
    }

    /// Its name in the configuration, in logs and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain { .. } => "drain",
            Self::Maint => "maint",
            Self::Leaving { .. } => "leaving",
        }
    }
}
