//! Who asks, as the lines say it that tell what was changed by whom.

use std::fmt;
use std::net::SocketAddr;

use crate::control::actor::Actor;

/// Somebody whom the gate has let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// By the Unix socket: the user as the kernel says.
    User { uid: u32 },
    /// With the token, from this address.
    Token { from: Option<SocketAddr> },
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { uid } => write!(f, "uid {uid}"),
            Self::Token { from: Some(address) } => write!(f, "token from {address}"),
            Self::Token { from: None } => f.write_str("token"),
        }
    }
}

impl From<Caller> for Actor {
    fn from(caller: Caller) -> Self {
        Self(caller.to_string())
    }
}
