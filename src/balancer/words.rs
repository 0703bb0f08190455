//! The words for what happened to a request. The same enum is the branch, the log field, the metric label and the answer of
//! `explain`.

use crate::sticky::claim::BadClaim;
use crate::upstream::failover::Cause;

/// Why a request went where it went; the first that applies, in this order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// No route, bad request, or a failover action that says so.
    Refused,
    /// No server may take it.
    NoServer,
    /// An attempt at another server failed before this one.
    Redispatched,
    /// The tie was not kept, for this cause.
    Lost(Cause),
    /// The session's token was not good; it counts as a new one.
    Bad(BadClaim),
    /// The tie was kept.
    Hit,
    /// A session without a tie.
    New,
}

/// Which kind of entry decided.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Method {
    Cookie,
    None,
}

/// What becomes of the session's tie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fate {
    Kept,
    New,
    Moved,
    /// Served elsewhere for a while; the tie stays as it is.
    Detour,
}

/// What the response did to the tie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Settled {
    Kept,
    Renewed,
    Inserted,
    Rewritten,
    None,
}

impl Reason {
    /// The most frequent first, as [`Self::index`] looks from there.
    pub const ALL: [Self; 14] = [
        Self::Hit,
        Self::New,
        Self::Refused,
        Self::NoServer,
        Self::Redispatched,
        Self::Lost(Cause::Down),
        Self::Lost(Cause::Maint),
        Self::Lost(Cause::Full),
        Self::Lost(Cause::Drained),
        Self::Lost(Cause::Unknown),
        Self::Bad(BadClaim::ExpiredIdle),
        Self::Bad(BadClaim::ExpiredLife),
        Self::Bad(BadClaim::BadToken),
        Self::Bad(BadClaim::UnknownKey),
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NoServer => "no_server",
            Self::Redispatched => "redispatched",
            Self::Lost(Cause::Down) => "down",
            Self::Lost(Cause::Maint) => "maint",
            Self::Lost(Cause::Full) => "full",
            Self::Lost(Cause::Drained) => "drained",
            Self::Lost(Cause::Unknown) => "unknown_server",
            Self::Bad(BadClaim::ExpiredIdle) => "expired_idle",
            Self::Bad(BadClaim::ExpiredLife) => "expired_life",
            Self::Bad(BadClaim::BadToken) => "bad_token",
            Self::Bad(BadClaim::UnknownKey) => "unknown_key",
            Self::Hit => "hit",
            Self::New => "new",
        }
    }

    /// Its position in [`Self::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|&reason| reason == self).unwrap_or_default()
    }
}

impl Method {
    pub const ALL: [Self; 2] = [Self::Cookie, Self::None];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::None => "none",
        }
    }

    /// Its position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Cookie => 0,
            Self::None => 1,
        }
    }
}

impl Settled {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Renewed => "renewed",
            Self::Inserted => "inserted",
            Self::Rewritten => "rewritten",
            Self::None => "none",
        }
    }
}
