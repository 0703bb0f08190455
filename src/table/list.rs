//! Going through a table in pieces: where one is, which entries are wanted.

use super::entry::{Entry, ServerIndex};
use crate::session::fingerprint::Prefix;
use crate::time::UnixSeconds;

/// Which entries are wanted: those that meet every condition given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    pub server: Option<ServerIndex>,
    /// Created at least so many seconds ago.
    pub older_than: Option<u32>,
    /// Created less than so many seconds ago.
    pub younger_than: Option<u32>,
    pub prefix: Option<Prefix>,
}

/// A place in a table. The default is its beginning.
///
/// What is created, moved or pushed out meanwhile may be met or not. Where the table's capacity changes meanwhile, the part of
/// the table that one was in is begun anew, and its entries are met twice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    pub(crate) shard: u16,
    /// Slots of the shard that are behind.
    pub(crate) slot: u32,
    /// The shape of the shard for which `slot` means something.
    pub(crate) shape: u16,
}

/// A piece of a list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Where the next page begins; None behind the last.
    pub next: Option<Cursor>,
}

impl Filter {
    pub(crate) fn wants(&self, entry: &Entry, now: UnixSeconds) -> bool {
        let age = now.since(entry.session.stamps.issued);
        self.server.is_none_or(|server| entry.session.server == server)
            && self.older_than.is_none_or(|least| age >= least)
            && self.younger_than.is_none_or(|bound| age < bound)
            && self.prefix.is_none_or(|prefix| entry.fingerprint.starts_with(prefix))
    }
}

impl Cursor {
    /// As a number, to hand to somebody who will come back with it.
    pub fn to_number(self) -> u64 {
        u64::from(self.shard) << 48 | u64::from(self.shape) << 32 | u64::from(self.slot)
    }

    /// Any number is a place: one that is not there is behind the end.
    pub fn from_number(number: u64) -> Self {
        let [a, b, c, d, slot @ ..] = number.to_be_bytes();
        Self { shard: u16::from_be_bytes([a, b]), shape: u16::from_be_bytes([c, d]), slot: u32::from_be_bytes(slot) }
    }

    /// The part of the table that this is in: a number below [`Table::shards`](super::Table::shards).
    pub fn shard(self) -> usize {
        usize::from(self.shard)
    }

    /// This place, or the beginning of that shard if it is later.
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
        fn a_cursor_is_its_number(number: u64) {
            prop_assert_eq!(Cursor::from_number(number).to_number(), number);
        }
    }
}
