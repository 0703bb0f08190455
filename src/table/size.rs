//! How large a table must be for its capacity to be a promise.

use super::entry::Change;
use super::feed;
use super::page::Page;
use super::spec::{Persist, TableSpec};

/// Parts of a table, each behind a lock of its own.
pub(crate) const SHARDS: usize = 256;

/// Sessions for which a page of 147 slots is made. Names are dealt to pages by chance, so one in ten thousand pages of a table
/// that holds its capacity gets 39 more than its share, and three in a million 47 more.
const SHARE: usize = 100;

/// What a shard is made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Size {
    pub(crate) pages: usize,
    /// Its share of the capacity.
    pub(crate) sessions: usize,
}

impl Size {
    pub(crate) fn of(spec: &TableSpec) -> Self {
        let capacity = spec.capacity.get() as usize;
        Self { pages: capacity.div_ceil(SHARDS * SHARE), sessions: capacity.div_ceil(SHARDS) }
    }

    /// Bytes that a shard of this size takes, once the queue of its journal has been full.
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
    fn a_session_costs_less_than_48_octets_in_a_large_table() {
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
