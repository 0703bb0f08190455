//! Servers: what is known of one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A server as it is now.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ServerInfo {
    pub upstream: String,
    pub id: String,
    pub address: String,
    /// What the operator wants of it.
    pub state: ServerState,
    /// Seconds until its drain is over, whatever is left of its sessions; null where there is no such date.
    pub deadline: Option<u32>,
    /// What is known of its health.
    pub health: ServerHealth,
    /// Its share of new sessions relative to its neighbours.
    #[schema(maximum = 256)]
    pub weight: u32,
    /// Requests that it may have in flight from this balancer; null: as many as come.
    pub max_conns: Option<u32>,
    /// Whether it takes new sessions only when no other may.
    pub backup: bool,
    /// Requests and upgraded streams that it is working on.
    pub in_flight: u32,
    pub sessions: SessionCount,
}

/// What the operator wants of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    Ready,
    /// It keeps its sessions and gets no new ones.
    Drain,
    /// It gets nothing and is not checked.
    Maint,
    /// It is no longer wanted and goes when its sessions are gone.
    Leaving,
}

/// What is known of a server's health.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerHealth {
    Up,
    Down,
    /// It has a check that has not been run yet.
    Unchecked,
    /// Requests have failed there; a probe will bring it back. As far as its checks go it is up.
    Ejected,
}

/// Sessions that live on a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct SessionCount {
    /// Those in session tables, exact to a tenth of the idle time; null: its upstream learns none.
    pub learned: Option<u64>,
    /// Those that clients carry in tokens: an estimate, off by 2.3 % (standard error); null: its tokens have no idle time, so
    /// nobody can know.
    pub by_token: Option<u64>,
}

/// The servers of an upstream, in the configuration's order.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ServerList {
    pub servers: Vec<ServerInfo>,
}

impl ServerState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
            Self::Leaving => "leaving",
        }
    }
}
