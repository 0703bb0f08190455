//! What happened in a part of a table and was not yet taken out by whoever writes it down. It is bounded: a request never
//! waits for a disk.

use std::hint::black_box;

use super::entry::{Change, ChangeKind, Entry};
use super::spec::Persist;

/// What [`Table::drain_changes`](super::Table::drain_changes) could not give, because it came too fast.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "where changes were lost, a snapshot is due"]
pub struct Lost {
    /// New stamps only: after a crash some sessions' idle time would begin earlier.
    pub refreshed: u64,
    /// Sessions created, moved or forgotten.
    pub others: u64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    changes: Vec<Change>,
    bound: usize,
    lost: Lost,
}

impl Journal {
    /// For a part of a table that holds about `sessions`.
    pub(crate) fn new(persist: Persist, sessions: usize) -> Self {
        Self { changes: Vec::new(), bound: Self::bound(persist, sessions), lost: Lost::default() }
    }

    /// The most changes that are kept: for a sixteenth of the sessions, so two octets for each.
    pub(crate) fn bound(persist: Persist, sessions: usize) -> usize {
        match persist {
            Persist::On => (sessions / 16).max(64),
            Persist::Off => 0,
        }
    }

    /// Takes over what an earlier one has.
    pub(crate) fn rebound(&mut self, persist: Persist, sessions: usize) {
        self.bound = Self::bound(persist, sessions);
        if persist == Persist::Off {
            self.changes = Vec::new();
        }
    }

    /// Asks for the memory that is written to next, long before it is: every part of a table has its own.
    #[inline]
    pub(crate) fn fetch(&self) {
        black_box(self.changes.last().map(|change| change.kind));
    }

    pub(crate) fn record(&mut self, kind: ChangeKind, entry: Entry) {
        if self.bound == 0 {
            return;
        }
        // The last quarter is for what weighs more than an idle time that begins too early.
        let (room, lost) = match kind {
            ChangeKind::Refreshed => (self.bound / 4 * 3, &mut self.lost.refreshed),
            ChangeKind::Created | ChangeKind::Moved | ChangeKind::Forgotten => (self.bound, &mut self.lost.others),
        };
        if self.changes.len() < room {
            self.changes.push(Change { kind, entry });
        } else {
            *lost += 1;
        }
    }

    pub(crate) fn drain(&mut self, into: &mut Vec<Change>) -> Lost {
        if into.is_empty() {
            std::mem::swap(&mut self.changes, into);
        } else {
            into.append(&mut self.changes);
        }
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fingerprint::Fingerprint;
    use crate::session::stamps::Stamps;
    use crate::table::entry::{Class, ServerIndex, Session};
    use crate::time::UnixSeconds;

    fn entry(n: u128) -> Entry {
        let stamps = Stamps { issued: UnixSeconds(1), seen: UnixSeconds(2) };
        let session = Session { server: ServerIndex(0), stamps, class: Class::New };
        Entry { fingerprint: Fingerprint::from_bits(n), session }
    }

    #[test]
    fn changes_come_out_in_their_order_and_once() {
        let mut journal = Journal::new(Persist::On, 0);
        journal.record(ChangeKind::Created, entry(1));
        journal.record(ChangeKind::Forgotten, entry(1));
        let mut out = Vec::new();
        assert_eq!(journal.drain(&mut out), Lost::default());
        journal.record(ChangeKind::Moved, entry(2));
        assert_eq!(journal.drain(&mut out), Lost::default());
        let kinds: Vec<_> = out.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Created, ChangeKind::Forgotten, ChangeKind::Moved]);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_stamps_give_way_first() {
        let mut journal = Journal::new(Persist::On, 0);
        for n in 0..60 {
            journal.record(ChangeKind::Refreshed, entry(n));
        }
        for n in 0..20 {
            journal.record(ChangeKind::Created, entry(n));
        }
        let mut out = Vec::new();
        assert_eq!(journal.drain(&mut out), Lost { refreshed: 12, others: 4 });
        assert_eq!(out.len(), 64);
        assert_eq!(journal.drain(&mut out), Lost::default());
    }

    #[test]
    fn nothing_is_kept_for_a_table_that_is_not_written_down() {
        let mut journal = Journal::new(Persist::Off, 1_000);
        journal.record(ChangeKind::Created, entry(1));
        let mut out = Vec::new();
        assert_eq!(journal.drain(&mut out), Lost::default());
        assert!(out.is_empty());
    }
}
