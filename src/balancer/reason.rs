//! Why a request went where it went, and what happened to its tie. Each enum is at once the branch in the code, the field in
//! the log, the label in metrics and the answer of `explain`.

use crate::session::claim::BadClaim;
use crate::sticky::method::Method;
use crate::upstream::failover::Cause;

/// Why a request went where it went; the first that applies, in this order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// No route, bad request, or a failover action that says so.
    Refused,
    /// No server can take it.
    NoServer,
    /// An attempt at another server failed before this one.
    Redispatched,
    /// The tie could not be kept, for this cause.
    Lost(Cause),
    /// The session's token is not valid; the session counts as new.
    Bad(BadClaim),
    /// A session without a tie, placed without regard to health because too few servers are up.
    Panic,
    /// The tie was kept.
    Hit,
    /// A session without a tie.
    New,
}

/// The label of the persistence method that decided, or none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MethodLabel(usize);

/// What happens to the session's tie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TieOutcome {
    Kept,
    New,
    Moved,
    /// Another server serves the session temporarily; the tie stays.
    Detour,
}

/// What the response did to the tie.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TieAction {
    Kept,
    Renewed,
    Inserted,
    Rewritten,
    Learned,
    Forgotten,
    None,
}

/// Why a session was moved for good.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Move {
    /// Its server could not serve it.
    Lost(Cause),
    /// The application asked for it.
    Application,
}

impl Reason {
    /// The most frequent first, because [`Self::index`] searches from the start.
    pub const ALL: [Self; 15] = [
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
        Self::Panic,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NoServer => "no_server",
            Self::Redispatched => "redispatched",
            Self::Lost(cause) => word(cause),
            Self::Bad(BadClaim::ExpiredIdle) => "expired_idle",
            Self::Bad(BadClaim::ExpiredLife) => "expired_life",
            Self::Bad(BadClaim::BadToken) => "bad_token",
            Self::Bad(BadClaim::UnknownKey) => "unknown_key",
            Self::Panic => "panic",
            Self::Hit => "hit",
            Self::New => "new",
        }
    }

    /// Its position in [`Self::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|&reason| reason == self).unwrap_or_default()
    }
}

impl MethodLabel {
    /// The number of labels.
    pub const COUNT: usize = Method::LABELS.len() + 1;

    /// No method decided.
    pub const NONE: Self = Self(Method::LABELS.len());

    pub const fn of(method: &Method) -> Self {
        Self(method.index())
    }

    pub fn as_str(self) -> &'static str {
        Method::LABELS.get(self.0).copied().unwrap_or("none")
    }

    /// Its number below [`Self::COUNT`].
    pub const fn index(self) -> usize {
        self.0
    }
}

impl Move {
    pub const ALL: [Self; 6] = [
        Self::Lost(Cause::Down),
        Self::Lost(Cause::Maint),
        Self::Lost(Cause::Full),
        Self::Lost(Cause::Drained),
        Self::Lost(Cause::Unknown),
        Self::Application,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost(cause) => word(cause),
            Self::Application => "application",
        }
    }

    /// Its position in [`Self::ALL`].
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|&cause| cause == self).unwrap_or_default()
    }
}

const fn word(cause: Cause) -> &'static str {
    match cause {
        Cause::Down => "down",
        Cause::Maint => "maint",
        Cause::Full => "full",
        Cause::Drained => "drained",
        Cause::Unknown => "unknown_server",
    }
}

impl TieAction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Renewed => "renewed",
            Self::Inserted => "inserted",
            Self::Rewritten => "rewritten",
            Self::Learned => "learned",
            Self::Forgotten => "forgotten",
            Self::None => "none",
        }
    }
}
