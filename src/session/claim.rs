//! What a request claims about its session, before anything is checked against the servers.

use std::borrow::Cow;

use super::foreign_format::ForeignFormat;
use super::name::SessionName;
use super::server_tag::ServerTag;
use super::stamps::Stamps;
use crate::ids::ServerId;

/// What one persistence method reads from a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim<'r> {
    /// The request carries nothing for this entry.
    Absent,
    /// The session is tied to this server.
    Names(ServerName<'r>, Named),
    /// The session's name decides its server: its place on the ring is the tie.
    Keyed(SessionName),
    /// The session has a name but no tie: it is new, or its tie has expired. Its parallel requests go to the same server.
    Fresh(SessionName, Option<BadClaim>),
    /// The value is not a usable tie. This is never an error: the request is placed as if the value were absent. If it names an
    /// expired session, the request goes where that session's parallel requests go.
    Bad(Refused),
}

/// What a claim says about a session, apart from its server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// None if the token cannot hold it.
    pub session: Option<SessionName>,
    /// None if the token carries no dates.
    pub stamps: Option<Stamps>,
    pub issuer: Issuer,
}

/// How a token names its server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerName<'r> {
    Tag(ServerTag),
    Id(ServerId),
    /// The name in plain tokens and routes, which several servers may share.
    Route(Cow<'r, str>),
    /// A server that is not configured here, named in another proxy's format.
    Stranger,
}

/// Who issued a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Issuer {
    Burdock,
    /// The previous proxy. Such a token is replaced at the next opportunity.
    Other(ForeignFormat),
}

/// A token that does not tie its session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    pub why: BadClaim,
    /// The name of the expired session, if the token is genuine and carries one.
    pub session: Option<SessionName>,
}

/// Why a claim is invalid.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BadClaim {
    ExpiredIdle,
    ExpiredLife,
    BadToken,
    UnknownKey,
}

impl From<BadClaim> for Refused {
    fn from(why: BadClaim) -> Self {
        Self { why, session: None }
    }
}
