//! The name of a session.

use std::fmt;
use std::net::IpAddr;

use smallvec::SmallVec;

use super::number::SessionNumber;

/// The name of a session, which gives it its place on the ring. `Debug` hides it.
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum SessionName {
    /// Made by Burdock.
    Number(SessionNumber),
    /// Found in the request.
    Key(SmallVec<[u8; 24]>),
}

impl SessionName {
    pub fn key(bytes: &[u8]) -> Self {
        Self::Key(SmallVec::from_slice(bytes))
    }

    /// The client's address, used if nothing else tells sessions apart.
    pub fn of_client(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::key(&address.octets()),
            IpAddr::V6(address) => Self::key(&address.octets()),
        }
    }

    /// The bytes that are hashed for the ring.
    pub fn bytes(&self) -> SmallVec<[u8; 24]> {
        match self {
            Self::Number(SessionNumber(number)) => SmallVec::from_slice(&number.to_be_bytes()),
            Self::Key(key) => key.clone(),
        }
    }

    pub fn number(&self) -> Option<SessionNumber> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Key(_) => None,
        }
    }
}

impl fmt::Debug for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionName(hidden)")
    }
}
