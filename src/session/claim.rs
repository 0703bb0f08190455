//! What a request says of its session, before anybody has looked whether it can be so.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use smallvec::SmallVec;

use crate::upstream::ServerId;

use crate::token::foreign::Format;
use crate::token::{ServerTag, SessionNumber, Stamps};

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
    By(Format),
}

/// What a session is called, which gives it its place on the ring. It does not show itself.
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum SessionName {
    /// Made by Burdock.
    Number(SessionNumber),
    /// Found in the request.
    Key(SmallVec<[u8; 24]>),
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

impl SessionName {
    pub fn key(octets: &[u8]) -> Self {
        Self::Key(SmallVec::from_slice(octets))
    }

    /// The client's address, which stands in where nothing else tells sessions apart.
    pub fn of_client(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::key(&address.octets()),
            IpAddr::V6(address) => Self::key(&address.octets()),
        }
    }

    /// What is hashed for the ring.
    pub fn octets(&self) -> SmallVec<[u8; 24]> {
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
