//! Where a server listens. Names are not resolved here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An address and a port, or a socket in the file system.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    Inet(SocketAddr),
    Unix(PathBuf),
}

/// Why a text is no address of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("a socket's path is absolute: unix:/run/app.sock")]
    RelativePath,
    #[error("a socket's path has at most {LONGEST_PATH} bytes")]
    LongPath,
    #[error("a port from 1 to 65535")]
    Port,
    #[error("an address to connect to: this one only listens")]
    Unspecified,
    #[error("an address and a port, or unix: and a path")]
    NoAddress,
}

/// Longest path of a Unix socket (`sun_path` with its closing zero).
const LONGEST_PATH: usize = 107;

impl Address {
    /// Takes `10.0.0.10:8080`, `[fd00::10]:8080` or `unix:/run/app.sock`.
    ///
    /// # Errors
    /// [`InvalidAddress`] says what is expected instead.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket(path);
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => Err(InvalidAddress::Port),
            Ok(address) if address.ip().is_unspecified() => Err(InvalidAddress::Unspecified),
            Ok(address) => Ok(Self::Inet(address)),
            Err(_) => Err(InvalidAddress::NoAddress),
        }
    }
}

fn socket(path: &str) -> Result<Address, InvalidAddress> {
    match path {
        _ if !path.starts_with('/') => Err(InvalidAddress::RelativePath),
        _ if path.len() > LONGEST_PATH => Err(InvalidAddress::LongPath),
        _ if path.contains('\0') => Err(InvalidAddress::NoAddress),
        _ => Ok(Address::Unix(path.into())),
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
