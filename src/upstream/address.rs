//! Where a server listens. Names are not resolved here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An address and a port, or a Unix socket.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    Inet(SocketAddr),
    Unix(PathBuf),
}

/// Why a text is not a valid server address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("a socket's path must be absolute: unix:/run/app.sock")]
    RelativePath,
    #[error("a socket's path has at most {MAX_PATH_BYTES} bytes")]
    LongPath,
    #[error("use a port from 1 to 65535")]
    Port,
    #[error("use an address to connect to: this one is only for listening")]
    Unspecified,
    #[error("write an address and a port, or unix: and a path")]
    NoAddress,
}

/// The longest path of a Unix socket (`sun_path` without its final zero byte).
const MAX_PATH_BYTES: usize = 107;

impl Address {
    /// Parses `10.0.0.10:8080`, `[fd00::10]:8080` or `unix:/run/app.sock`.
    ///
    /// # Errors
    /// [`InvalidAddress`] if it is not valid.
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
        _ if path.len() > MAX_PATH_BYTES => Err(InvalidAddress::LongPath),
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
