//! Who goes first at a server, and how much room is left to whom.

use std::num::NonZeroU32;

/// Who goes first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// Sessions that are tied to the server.
    Tied,
    /// Sessions that would start there.
    New,
}

impl Rank {
    /// How many requests a server may have in flight when one of this rank comes to it. New sessions stop at nine tenths of
    /// `max_conns`, which leaves the rest to those who are tied.
    pub(crate) fn limit(self, max_conns: NonZeroU32) -> u32 {
        match self {
            Self::Tied => max_conns.get(),
            Self::New => max_conns.get() - max_conns.get() / 10,
        }
    }
}
