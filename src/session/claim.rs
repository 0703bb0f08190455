//! What a request says of its session, before anybody has looked whether it can be so.

use std::borrow::Cow;

use super::foreign_format::ForeignFormat;
use super::name::SessionName;
use super::server_tag::ServerTag;
use super::stamps::Stamps;
use crate::ids::ServerId;

/// An entry's answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim<'r> {
    /// The request carries nothing for this entry.
    Absent,
    /// A session that is tied to a server.
    Names(ServerName<'r>, Named),
    /// A session whose name says where it belongs: its place on the ring is the tie.
    Keyed(SessionName),
    /// A session with a name and nothing that ties it: new, or one whose tie has run out. Its parallel requests go where it
    /// goes.
    Fresh(SessionName, Option<BadClaim>),
    /// Something that cannot be taken for a tie. Never an error: the request is placed as if it were not there, or where its
    /// parallel requests go if it has the name of a session that has expired.
    Bad(Refused),
}

/// What is said of a session besides its server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// None where the token has no room for it.
    pub session: Option<SessionName>,
    /// None where the token carries no dates.
    pub stamps: Option<Stamps>,
    pub minted: Minted,
}

/// How a token names its server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerName<'r> {
    Tag(ServerTag),
    Id(ServerId),
    /// The name in plain tokens and routes, which several servers may share.
    Route(Cow<'r, str>),
    /// It was made for a server that is not there, by somebody who names servers otherwise.
    Stranger,
}

/// Who made a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Minted {
    Here,
    /// The proxy that was here before. Such a token is replaced at the next opportunity.
    By(ForeignFormat),
}

/// A token that ties nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    pub why: BadClaim,
    /// The name of a session that has expired, where its token is genuine and has one.
    pub session: Option<SessionName>,
}

/// Why a claim is worth nothing.
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
