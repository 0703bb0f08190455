//! The memory that a table needs to guarantee its capacity.

use super::entry::Change;
use super::feed;
use super::page::Page;
use super::spec::{Persist, TableSpec};

/// The number of shards of a table.
pub(crate) const SHARDS: usize = 256;

/// Sessions planned per page of 147 slots. Names are assigned to pages by chance, so in a table at capacity one page in ten
/// thousand gets 39 sessions more than planned, and three in a million get 47 more.
const SESSIONS_PER_PAGE: usize = 100;

/// The size of a shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Size {
    pub(crate) pages: usize,
    /// Its share of the capacity.
    pub(crate) sessions: usize,
}

impl Size {
    pub(crate) fn of(spec: &TableSpec) -> Self {
        let capacity = spec.capacity.get() as usize;
        Self { pages: capacity.div_ceil(SHARDS * SESSIONS_PER_PAGE), sessions: capacity.div_ceil(SHARDS) }
    }

    /// The bytes that a shard of this size uses once its journal queue has been full.
    pub(crate) fn bytes(self, spec: &TableSpec) -> usize {
        let changes = match spec.persist {
            Persist::On => feed::bound(self.sessions),
            Persist::Off => 0,
        };
        self.pages * size_of::<Page>() + changes * size_of::<Change>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::lifetime::Lifetime;
    use crate::table::spec::{Persist, TableName};
    use std::num::NonZeroU32;

    fn spec(capacity: u32) -> TableSpec {
        let name = TableName::parse("t").unwrap();
        let capacity = NonZeroU32::new(capacity).unwrap();
        TableSpec { name, capacity, lifetime: Lifetime::default(), persist: Persist::On }
    }

    #[test]
    fn a_session_takes_at_most_48_bytes_in_a_large_table() {
        for (capacity, most) in [(1_000_000, 48), (10_000_000, 45)] {
            let spec = spec(capacity);
            let bytes = Size::of(&spec).bytes(&spec) * SHARDS;
            assert!(bytes <= capacity as usize * most, "{capacity}: {bytes}");
        }
    }

    #[test]
    fn the_smallest_table_has_a_page_in_each_shard() {
        assert_eq!(Size::of(&spec(1)).pages, 1);
        assert_eq!(Size::of(&spec(25_601)).pages, 2);
    }
}
