//! Servers on their way out.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::server::{ServerState, SessionCount};

/// How far the sessions of a server are gone.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DrainStatus {
    pub upstream: String,
    pub server: String,
    pub state: ServerState,
    pub stage: Stage,
    /// Requests and upgraded streams under way there.
    pub in_flight: u32,
    /// What shows the way: it does not decide.
    pub sessions: SessionCount,
    /// Seconds for which no session of the server has shown itself.
    pub quiet_for: u64,
    /// Seconds for which it must be quiet until none can come any more.
    pub idle_time: u64,
    /// Seconds until its drain is over, whatever is left of its sessions; null where there is no such date.
    pub deadline: Option<u32>,
}

/// Where a server stands on its way out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It takes new sessions: it is not on its way out.
    Serving,
    /// Sessions may come that are tied to it, or requests are under way.
    Draining,
    /// Nothing is under way, and no session will be served there any more: it can be switched off.
    Complete,
}

/// Servers that are on their way out.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DrainList {
    pub drains: Vec<DrainStatus>,
}

/// How long to wait.
#[derive(Clone, Debug, Default, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DrainQuery {
    /// How long to wait for the drain to be complete, up to 60 s; otherwise the answer comes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(pattern = "^([0-9]|[1-5][0-9]|60)s?$", example = "30s")]
    pub wait: Option<String>,
}
