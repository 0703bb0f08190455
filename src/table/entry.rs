//! What a table says of a session, and what happened to one: plain values, for callers, lists, journal and snapshot.

use crate::session::claim::BadClaim;
use crate::session::fingerprint::Fingerprint;
use crate::session::stamps::Stamps;

/// A server as a table's entries name it: its number in that table, which means nothing elsewhere. [`Table::server`] tells
/// the id.
///
/// [`Table::server`]: super::Table::server
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerIndex(pub(crate) u16);

/// How well a session is known, which decides who goes first when the table is full. From the first to go to the last.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Created beyond what its client's neighbourhood may create ([`CreationBudget`](super::CreationBudget)).
    OverBudget,
    /// Not seen since it was created.
    New,
    /// Seen again.
    Established,
}

/// A session as its table knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Session {
    pub server: ServerIndex,
    pub stamps: Stamps,
    pub class: Class,
}

/// The answer to a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Known {
    Session(Session),
    /// It was known, but its time has run out: why.
    Expired(BadClaim),
    Unknown,
}

/// What became of a name that the application confirmed.
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

/// In which class a session begins: what its client's creation budget says.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Budget {
    #[default]
    Within,
    Over,
}

/// A session with its name, as stored and listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    pub fingerprint: Fingerprint,
    pub session: Session,
}

/// What happened to a session, with all that is known of it afterwards: applying a change twice, or to a state that has it
/// already, changes nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    pub kind: ChangeKind,
    /// For [`ChangeKind::Forgotten`], as it was before.
    pub entry: Entry,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChangeKind {
    Created,
    Moved,
    /// Its stamp is new, it is now established, or it has another place in the table (which concerns a snapshot that is being
    /// written: what moves from a part not yet read into one already read would be in neither).
    Refreshed,
    Forgotten,
}

impl Class {
    pub const ALL: [Self; 3] = [Self::OverBudget, Self::New, Self::Established];

    pub(crate) fn of(budget: Budget) -> Self {
        match budget {
            Budget::Within => Self::New,
            Budget::Over => Self::OverBudget,
        }
    }
}

impl ServerIndex {
    /// For arrays beside the table's servers: small numbers from 0 on.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}
