//! A table's sessions and the changes to them: plain values for callers, lists, journals and checkpoints.

use crate::session::claim::BadClaim;
use crate::session::fingerprint::Fingerprint;
use crate::session::stamps::Stamps;
use crate::time::UnixMillis;

/// A server's number in one table, meaningless elsewhere. [`Table::server`] returns the id.
///
/// [`Table::server`]: super::Table::server
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerIndex(pub(crate) u16);

/// Decides which sessions are evicted first when the table is full, in this order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EvictionClass {
    /// Created beyond the budget of its client's network ([`CreationBudget`](super::CreationBudget)).
    OverBudget,
    /// Not seen since it was created.
    New,
    /// Seen again.
    Established,
}

/// A session as its table stores it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Session {
    pub server: ServerIndex,
    pub stamps: Stamps,
    pub class: EvictionClass,
}

/// The result of looking up a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known {
    Session(Session),
    /// It is in the table but has expired, for this reason.
    Expired(BadClaim),
    Unknown,
}

/// The result of tying a session to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tied {
    Created,
    /// It was tied to another server.
    Moved {
        from: ServerIndex,
    },
    /// It was tied to this server already.
    Kept,
}

/// Whether the client's network is within its creation budget. It decides a new session's eviction class.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Budget {
    #[default]
    Within,
    Over,
}

/// A session with its fingerprint, as stored and listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    pub fingerprint: Fingerprint,
    pub session: Session,
}

/// A change to a session, with the session's full state afterwards. Changes are idempotent: applying one twice, or to a state that
/// already includes it, changes nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    pub kind: ChangeKind,
    /// For [`ChangeKind::Forgotten`], the state before; of a session that was unknown, only the fingerprint has a meaning.
    pub entry: Entry,
    /// For a creation, move or deletion, when it was decided; for a sign of life, when its session's server was, if that is
    /// remembered. Processes that exchange changes order them by it.
    pub at: UnixMillis,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChangeKind {
    Created,
    Moved,
    /// It has a new stamp, is now established, or was moved within the table. The move is recorded for the sake of a checkpoint in
    /// progress, which would miss a session that moves from a part not yet read into a part already read.
    Refreshed,
    Forgotten,
    /// Another process has it and does not remember when it was decided: it counts only where nothing is known of the session.
    Offered,
}

impl Change {
    /// The deletion of a session that the table may not have.
    pub(crate) fn deletion(fingerprint: Fingerprint, at: UnixMillis) -> Self {
        let stamps = Stamps { issued: at.seconds(), seen: at.seconds() };
        let session = Session { server: ServerIndex(0), stamps, class: EvictionClass::New };
        Self { kind: ChangeKind::Forgotten, entry: Entry { fingerprint, session }, at }
    }
}

impl EvictionClass {
    pub const ALL: [Self; 3] = [Self::OverBudget, Self::New, Self::Established];

    pub(crate) fn of(budget: Budget) -> Self {
        match budget {
            Budget::Within => Self::New,
            Budget::Over => Self::OverBudget,
        }
    }
}

impl ServerIndex {
    /// As an array index: small numbers from 0.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}
