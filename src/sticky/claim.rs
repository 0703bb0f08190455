//! What a request says of its session, before anybody has looked whether it can be so.

use crate::upstream::ServerId;

use super::token::{ServerTag, SessionNumber, Stamps};

/// An entry's answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim {
    /// The request carries nothing for this entry.
    Absent,
    /// A session that is tied to a server.
    Names(Named),
    /// Something that cannot be taken for a session. Never an error: the request is placed as if it were not there.
    Bad(BadClaim),
}

/// A session and the server that it says it is tied to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    pub server: ServerName,
    /// None where the token has no room for it; such a session is placed as one without a name.
    pub session: Option<SessionNumber>,
    /// None where the token carries no dates.
    pub stamps: Option<Stamps>,
}

/// How a token names its server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerName {
    Tag(ServerTag),
    Id(ServerId),
}

/// Why a claim is worth nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BadClaim {
    ExpiredIdle,
    ExpiredLife,
    BadToken,
    UnknownKey,
}
