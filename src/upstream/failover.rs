//! What happens to a tied session if its server cannot serve it: one action per cause.

use std::time::Duration;

use ::http::StatusCode;

/// Why a server cannot serve a session that is tied to it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// Its health check failed, it is ejected, or this request could not be delivered to it.
    Down,
    /// The operator put it into maintenance.
    Maint,
    /// It has `max_conns` requests in flight.
    Full,
    /// Its drain deadline has passed.
    Drained,
    /// The server does not exist, or no longer.
    Unknown,
}

/// What to do then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The session moves to the server that answers.
    Permanent,
    /// Another server answers and the tie is kept. With a limit, the session moves when its server has been unable to
    /// serve for that long.
    Temporary(Option<Duration>),
    /// The request is refused with this status and a Retry-After.
    Refuse(StatusCode),
}

/// What to do if the server is full, the only cause for which waiting helps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OnFull {
    /// How long the session waits for its server. None: not at all.
    pub wait: Option<Duration>,
    /// The action after the wait.
    pub then: Action,
}

/// How long a session that must not go to another server waits for its own if `failover` sets no wait.
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
    /// The action for a cause, after any wait.
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
    /// A session waits briefly for a server that is full, and returns to it later. For all other causes it moves, since
    /// its state on the server counts as lost.
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
