//! Servers: what is known of one, and what can be wanted of it.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, OneOf, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::given;

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
    /// Requests that wait for a place there, as it is full.
    pub waiting: u32,
    pub sessions: SessionCount,
    pub source: Source,
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The configuration file.
    File,
    /// A name in the file leads to it.
    Dns,
    /// It was added while the process runs, or is still there after having been taken out.
    RunTime,
}

/// What is to be changed of a server. What is left out stays; null is as the file has it again.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerPatch {
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WantedState>)]
    pub state: Option<Option<WantedState>>,
    /// With the state `drain`: seconds until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 31_536_000)]
    pub deadline: Option<u32>,
    /// With a `deadline`: what becomes of the sessions that are left then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// Its share of new sessions relative to its neighbours.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u16>, maximum = 256)]
    pub weight: Option<Option<u16>>,
    /// Requests that it may have in flight from this balancer.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MaxConns>)]
    pub max_conns: Option<Option<MaxConns>>,
}

/// What an operator can want of a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedState {
    Ready,
    /// It keeps its sessions and gets no new ones.
    Drain,
    /// It gets nothing and is not checked.
    Maint,
}

/// What becomes of the sessions that are left when a drain is over.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// What the upstream's failover says for `drained`.
    AsConfigured,
    /// They move to other servers for good.
    Move,
    /// They are answered with 503 until their server takes them again.
    Refuse,
}

/// A limit of requests in flight, or that there is none.
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
        OneOf::builder().item(limit).item(none).description(Some("A number, or none where as many may come as do.")).into()
    }
}

impl ToSchema for MaxConns {}

/// A server to be added.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    /// An address and a port, or `unix:` and a path.
    #[schema(min_length = 1, max_length = 128)]
    pub address: String,
    /// The address where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub id: Option<String>,
    /// Its name in plain tokens and in routes; its id where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub route: Option<String>,
    /// Whether it takes new sessions only when no other may.
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

/// How a server is removed.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams, Serialize)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Whether it goes at once, and its sessions with it, rather than when they are gone.
    #[serde(default)]
    pub now: bool,
}

/// What a change has led to.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Changed {
    /// The server afterwards; null where it is gone.
    pub server: Option<ServerInfo>,
    /// Why the change will not outlive the process, where it will not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
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

impl ServerHealth {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unchecked => "unchecked",
            Self::Ejected => "ejected",
        }
    }
}
