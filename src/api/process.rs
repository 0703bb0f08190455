//! The process: its version, readiness and upgrades.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The running Burdock.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Version {
    pub version: String,
    pub pid: u32,
    /// Seconds since the start.
    pub uptime: u64,
    pub readiness: Readiness,
    /// Open client connections.
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
    /// It is shutting down; another process may have taken over.
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

/// How to upgrade.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The absolute path of the program to start; the running program by default. Only on the Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// Seconds until the new process must be ready; 60 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3600)]
    pub timeout: Option<u16>,
}

/// The new process, which has taken over.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct Upgraded {
    pub pid: u32,
}
