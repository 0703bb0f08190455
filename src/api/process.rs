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
