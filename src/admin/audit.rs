//! The caller of the API, as audit lines name it.

use std::fmt;
use std::net::SocketAddr;

use crate::control::actor::Actor;

/// A caller that [`super::auth`] has admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// On the Unix socket: the user, as the kernel reports it.
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
