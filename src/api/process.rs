//! The process itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which Burdock this is.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Version {
    pub version: String,
    pub pid: u32,
    /// Seconds since its start.
    pub uptime: u64,
    pub readiness: Readiness,
    /// Client connections that are open.
    pub connections: usize,
}

/// Whether this process should be sent traffic.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    Ready,
    /// The listeners do not accept yet.
    NotListening,
    /// The servers have not been checked yet.
    NotChecked,
    /// It is on its way out; another process may have taken over.
    Leaving,
}

impl Readiness {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotListening => "not listening yet",
            Self::NotChecked => "servers not checked yet",
            Self::Leaving => "leaving",
        }
    }
}

/// What is wanted of a successor.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The program to start, by its whole path, in place of the one that runs. Only at the Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// Seconds in which it must be prepared; 60 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3600)]
    pub timeout: Option<u16>,
}

/// The process that has taken over.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct Upgraded {
    pub pid: u32,
}
