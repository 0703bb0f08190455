//! Upstreams: their state in short.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::server::SessionCount;

/// The current state of an upstream.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct UpstreamInfo {
    pub name: String,
    /// How it places new sessions.
    pub balance: String,
    /// The entries that tie sessions, in order.
    pub sticky: Vec<String>,
    /// The number of servers.
    pub servers: usize,
    /// The number of servers that can take new sessions now.
    pub taking_new: usize,
    /// Requests and upgraded streams in flight.
    pub in_flight: u64,
    pub sessions: SessionCount,
}

/// All upstreams, in the configuration's order.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct UpstreamList {
    pub upstreams: Vec<UpstreamInfo>,
}
