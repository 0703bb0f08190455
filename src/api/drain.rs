//! Draining servers.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::server::{ServerState, SessionCount};

/// The progress of a server's drain.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DrainStatus {
    pub upstream: String,
    pub server: String,
    pub state: ServerState,
    pub stage: Stage,
    /// Requests and upgraded streams in flight at the server.
    pub in_flight: u32,
    /// Sessions left. They show the progress; they do not decide when the drain is complete.
    pub sessions: SessionCount,
    /// Seconds since the last request of a session of this server.
    pub quiet_for: u64,
    /// Seconds without requests after which no session can return.
    pub idle_time: u64,
    /// Seconds until the drain ends, even if sessions are left; null if there is no deadline.
    pub deadline: Option<u32>,
}

/// The stage of a drain.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The server takes new sessions: it is not draining.
    Serving,
    /// Sessions tied to it may still send requests, or requests are in flight.
    Draining,
    /// Nothing is in flight, and no session will be served there again: it can be switched off.
    Complete,
}

/// Servers that are draining or leaving.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DrainList {
    pub drains: Vec<DrainStatus>,
}

/// How long to wait for a drain.
#[derive(Clone, Debug, Default, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DrainQuery {
    /// How long to wait for the drain to complete, up to 60 s. Without it, the response comes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^([0-9]|[1-5][0-9]|60)s?$", example = "30s")]
    pub wait: Option<String>,
}
