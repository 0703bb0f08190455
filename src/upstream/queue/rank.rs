//! Which requests go first at a server, and how many slots each rank may use.

use std::num::NonZeroU32;

/// The rank of a request in a queue: the first goes first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// The session is tied to the server.
    Tied,
    /// The session would start there.
    New,
}

impl Rank {
    /// The limit of requests in flight for this rank. New sessions get at most nine tenths of `max_conns`; the rest is
    /// left to tied sessions.
    pub(crate) fn limit(self, max_conns: NonZeroU32) -> u32 {
        match self {
            Self::Tied => max_conns.get(),
            Self::New => max_conns.get() - max_conns.get() / 10,
        }
    }
}
