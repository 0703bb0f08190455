//! What happens to a tied session whose server cannot serve it: one action per cause.

use std::time::Duration;

use ::http::StatusCode;

/// Why a server cannot serve a session that is tied to it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// Its check says so, or this request could not be delivered to it.
    Down,
    /// The operator took it out.
    Maint,
    /// It has `max_conns` requests in flight.
    Full,
    /// Its drain deadline has passed.
    Drained,
    /// There is no such server (any more).
    Unknown,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The session moves to the server that answers.
    Permanent,
    /// Another server answers, the tie stays as it is; with a limit, the session moves once its server has been unable to
    /// serve for that long.
    Temporary(Option<Duration>),
    /// The request is refused with this status and a Retry-After.
    Refuse(StatusCode),
}

/// What is done where the server is full. Only there is something to wait for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OnFull {
    /// How long the session waits for its server. None: not at all.
    pub wait: Option<Duration>,
    /// What happens then.
    pub then: Action,
}

/// How long a session that must not go to another server waits for its own where `failover` says of no wait.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(2);

/// One action per cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failover {
    pub down: Action,
    pub maint: Action,
    pub full: OnFull,
    pub drained: Action,
    pub unknown: Action,
}

impl From<Action> for OnFull {
    /// Without waiting.
    fn from(then: Action) -> Self {
        Self { wait: None, then }
    }
}

impl Failover {
    /// What is done about a cause, after waiting where that may help.
    pub fn action(&self, cause: Cause) -> Action {
        match cause {
            Cause::Down => self.down,
            Cause::Maint => self.maint,
            Cause::Full => self.full.then,
            Cause::Drained => self.drained,
            Cause::Unknown => self.unknown,
        }
    }
}

impl Default for Failover {
    /// A session waits a little for a server that is merely full, and returns to it in any case; in every other case the session is taken to be lost there.
    fn default() -> Self {
        Self {
            down: Action::Permanent,
            maint: Action::Permanent,
            full: OnFull { wait: Some(WAIT_TIMEOUT), then: Action::Temporary(None) },
            drained: Action::Permanent,
            unknown: Action::Permanent,
        }
    }
}
