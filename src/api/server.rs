//! Servers: their state, and changes to them.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, OneOf, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::given;

/// The current state of a server.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ServerInfo {
    pub upstream: String,
    pub id: String,
    pub address: String,
    /// The administrative state.
    pub state: ServerState,
    /// Seconds until its drain ends, even if sessions are left; null if there is no deadline.
    pub deadline: Option<u32>,
    /// The server's health.
    pub health: ServerHealth,
    /// The last failure there; null: none since it was added.
    pub last_failure: Option<FailureInfo>,
    /// Its share of new sessions, relative to the other servers.
    #[schema(maximum = 256)]
    pub weight: u32,
    /// Limit of requests in flight from this balancer; null: unlimited.
    pub max_conns: Option<u32>,
    /// Whether it takes new sessions only if no primary server can.
    pub backup: bool,
    /// Requests and upgraded streams in flight.
    pub in_flight: u32,
    /// Requests that wait for a slot while it is full.
    pub waiting: u32,
    pub sessions: SessionCount,
    /// Its answers since this process started, by class of their status.
    #[serde(default)]
    pub answers: AnswerInfo,
    pub source: Source,
}

/// Answers of a server, by class of their status.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct AnswerInfo {
    #[serde(rename = "1xx")]
    pub informational: u64,
    #[serde(rename = "2xx")]
    pub success: u64,
    #[serde(rename = "3xx")]
    pub redirection: u64,
    #[serde(rename = "4xx")]
    pub client_error: u64,
    #[serde(rename = "5xx")]
    pub server_error: u64,
}

/// A failure at a server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct FailureInfo {
    /// `connect`, `closed`, `timeout`, `status` and the status, `invalid answer`, or `health check`.
    pub reason: String,
    /// Seconds since then.
    pub ago: u64,
    /// When it was, in seconds since 1970.
    pub at: u64,
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The configuration file.
    File,
    /// A DNS name in the file.
    Dns,
    /// Added at run time, or leaving after it was removed.
    RunTime,
}

/// Changes to a server. Fields that are left out keep their value; null resets a field to the file's value.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerPatch {
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WantedState>)]
    pub state: Option<Option<WantedState>>,
    /// With the state `drain`: seconds until the drain ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 31_536_000)]
    pub deadline: Option<u32>,
    /// With a `deadline`: what happens to the sessions that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// Its share of new sessions, relative to the other servers.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u16>, maximum = 256)]
    pub weight: Option<Option<u16>>,
    /// Limit of requests in flight from this balancer.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MaxConns>)]
    pub max_conns: Option<Option<MaxConns>>,
}

/// An administrative state to set.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedState {
    Ready,
    /// It keeps its sessions and gets no new ones.
    Drain,
    /// It gets no requests and no health checks.
    Maint,
}

/// What happens to the sessions that are left at the deadline of a drain.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// As the upstream's failover configures for `drained`.
    AsConfigured,
    /// They move to other servers permanently.
    Move,
    /// Their requests get 503 until the server serves them again.
    Refuse,
}

/// A limit of requests in flight, or none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum MaxConns {
    Limit(NonZeroU32),
    Without(Unlimited),
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlimited {
    None,
}

impl PartialSchema for MaxConns {
    fn schema() -> RefOr<Schema> {
        let limit = Object::builder().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(u32::MAX));
        let none = Object::builder().schema_type(Type::String).enum_values(Some(["none"]));
        OneOf::builder().item(limit).item(none).description(Some("A number, or none for unlimited.")).into()
    }
}

impl ToSchema for MaxConns {}

/// A server to add.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    /// An address and a port, or `unix:` and a path.
    #[schema(min_length = 1, max_length = 128)]
    pub address: String,
    /// The address by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub id: Option<String>,
    /// Its name in plain tokens and in routes; the id by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub route: Option<String>,
    /// Whether it takes new sessions only if no primary server can.
    #[serde(default)]
    pub backup: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<WantedState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 256)]
    pub weight: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_conns: Option<MaxConns>,
}

/// How to remove a server.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Remove it at once, even if it has sessions.
    #[serde(default)]
    pub now: bool,
}

/// The result of a change.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Changed {
    /// The server after the change; null if it is gone.
    pub server: Option<ServerInfo>,
    /// Why the change will not survive a restart, if it will not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// The administrative state of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    Ready,
    /// It keeps its sessions and gets no new ones.
    Drain,
    /// It gets no requests and no health checks.
    Maint,
    /// It was removed and stays until its sessions have ended.
    Leaving,
}

/// The health of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerHealth {
    Up,
    /// Up, but its health check asks for no new sessions.
    Draining,
    Down,
    /// Its first health check has not finished: it gets no requests yet.
    Pending,
    /// Nothing watches its answers: it has no health check, and passive health counts failed connections at most.
    Unchecked,
    /// Ejected after failed requests, until a probe succeeds. Its health checks pass.
    Ejected,
}

/// Live sessions of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct SessionCount {
    /// Sessions in session tables, exact to a tenth of the idle timeout; null: its upstream learns no sessions.
    pub learned: Option<u64>,
    /// Sessions in clients' tokens: an estimate, with a standard error of 2.3 %; null: unknown, as its tokens have no idle
    /// timeout.
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

impl ServerHealth {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Pending => "pending",
            Self::Unchecked => "unchecked",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
        }
    }
}
