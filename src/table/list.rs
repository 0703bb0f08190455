//! Listing a table in pages: the cursor and the filter.

use super::entry::{Entry, ServerIndex};
use crate::session::fingerprint::Prefix;
use crate::time::UnixSeconds;

/// Selects the entries that meet every given condition.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    pub server: Option<ServerIndex>,
    /// Created at least this many seconds ago.
    pub older_than: Option<u32>,
    /// Created less than this many seconds ago.
    pub younger_than: Option<u32>,
    pub prefix: Option<Prefix>,
}

/// A position in a table. The default is the start.
///
/// Sessions that are created, moved or evicted meanwhile may or may not be listed. If the table's capacity changes meanwhile, the
/// current shard is listed again from its start, so its entries may appear twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    pub(crate) shard: u16,
    /// The next slot of the shard.
    pub(crate) slot: u32,
    /// The shape of the shard for which `slot` is valid.
    pub(crate) shape: u16,
}

/// A page of a list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// The start of the next page; None after the last page.
    pub next: Option<Cursor>,
}

impl Filter {
    pub(crate) fn matches(&self, entry: &Entry, now: UnixSeconds) -> bool {
        let age = now.since(entry.session.stamps.issued);
        self.server.is_none_or(|server| entry.session.server == server)
            && self.older_than.is_none_or(|least| age >= least)
            && self.younger_than.is_none_or(|bound| age < bound)
            && self.prefix.is_none_or(|prefix| entry.fingerprint.starts_with(prefix))
    }
}

impl Cursor {
    /// As a number, for a caller that continues later.
    pub fn to_number(self) -> u64 {
        u64::from(self.shard) << 48 | u64::from(self.shape) << 32 | u64::from(self.slot)
    }

    /// Accepts any number: a position that does not exist is past the end.
    pub fn from_number(number: u64) -> Self {
        let [a, b, c, d, slot @ ..] = number.to_be_bytes();
        Self { shard: u16::from_be_bytes([a, b]), shape: u16::from_be_bytes([c, d]), slot: u32::from_be_bytes(slot) }
    }

    /// The shard of this position: a number below [`Table::shards`](super::Table::shards).
    pub fn shard(self) -> usize {
        usize::from(self.shard)
    }

    /// This position or the start of that shard, whichever is later.
    pub(crate) fn at_least(self, shard: u8) -> Self {
        if self.shard < u16::from(shard) { Self { shard: shard.into(), ..Self::default() } } else { self }
    }

    pub(crate) fn within(self, shape: u16, slot: usize) -> Self {
        Self { shape, slot: slot.try_into().unwrap_or(u32::MAX), ..self }
    }

    pub(crate) fn next_shard(self) -> Option<Self> {
        self.shard.checked_add(1).map(|shard| Self { shard, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_survives_its_number(number: u64) {
            prop_assert_eq!(Cursor::from_number(number).to_number(), number);
        }
    }
}
