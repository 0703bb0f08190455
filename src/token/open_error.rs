//! Why a token does not open.

use crate::session::claim::BadClaim;

/// Why a token does not open.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum OpenError {
    #[error("not a token of this cookie or header, or changed since it was issued")]
    BadToken,
    #[error("sealed with a key that this balancer does not have")]
    UnknownKey,
}

impl From<OpenError> for BadClaim {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::BadToken => Self::BadToken,
            OpenError::UnknownKey => Self::UnknownKey,
        }
    }
}
