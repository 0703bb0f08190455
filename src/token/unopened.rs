//! Why a value names no server.

use crate::session::claim::BadClaim;

/// Why a value names no server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Unopened {
    #[error("it is no token of this entry, or was changed on its way")]
    BadToken,
    #[error("it is sealed with a key that this balancer does not have")]
    UnknownKey,
}

impl From<Unopened> for BadClaim {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::BadToken => Self::BadToken,
            Unopened::UnknownKey => Self::UnknownKey,
        }
    }
}
