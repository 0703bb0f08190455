//! Upstreams.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::server::SessionCount;

/// An upstream as it is now.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct UpstreamInfo {
    pub name: String,
    /// How a client without a tie is placed.
    pub balance: String,
    /// The entries that tie sessions, in their order.
    pub sticky: Vec<String>,
    /// Its servers, in number.
    pub servers: usize,
    /// Those that may take new sessions now.
    pub taking_new: usize,
    /// Requests and upgraded streams that its servers are working on.
    pub in_flight: u64,
    pub sessions: SessionCount,
}

/// All upstreams, in the configuration's order.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct UpstreamList {
    pub upstreams: Vec<UpstreamInfo>,
}
