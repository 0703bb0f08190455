//! A page of memory with 147 slots. A name has two buckets in its page: it is stored in the second if the first is full; if both
//! are full, a neighbor moves to its other bucket or a session is evicted.
//!
//! Keeping both buckets in one page makes a large table fast: the second bucket needs no second walk of the processor's page table,
//! which takes longer than the memory access itself. In return, a page may by chance get more names than others;
//! [`Size`](super::size::Size) leaves room for that.

use std::hint::black_box;

use super::bucket::{Bucket, SLOTS};
use super::entry::{Entry, EvictionClass, Session};
use super::moment::Moment;
use crate::session::fingerprint::Fingerprint;

const BUCKETS: usize = 21;

#[derive(Clone)]
#[repr(C, align(4096))]
pub(crate) struct Page {
    buckets: [Bucket; BUCKETS],
}

const _: () = assert!(size_of::<Page>() == 4096);

/// A slot of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct At {
    bucket: usize,
    slot: usize,
}

/// Where a new session can be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    Free(At),
    /// Both buckets are full of live sessions; this one is evicted first.
    Taken(At, EvictionClass),
}

impl Page {
    pub(crate) const EMPTY: Self = Self { buckets: [Bucket::EMPTY; BUCKETS] };

    pub(crate) const SLOTS: usize = BUCKETS * SLOTS;

    /// Nine in ten sessions are in their first bucket, which the processor predicts. All three cache lines of a bucket are
    /// requested at once, so that the memory latency is paid only once.
    #[inline]
    pub(crate) fn locate(&self, fingerprint: Fingerprint) -> Option<(At, Session)> {
        let [first, second] = candidates(fingerprint);
        self.locate_in(first, fingerprint).or_else(|| self.locate_in(second, fingerprint))
    }

    #[inline]
    fn locate_in(&self, bucket: usize, fingerprint: Fingerprint) -> Option<(At, Session)> {
        // The dates are in a separate cache line, which would otherwise be requested only when the slot is known.
        black_box(self.buckets[bucket].dates());
        let found = self.buckets[bucket].matches(fingerprint);
        if found == 0 {
            return None;
        }
        let at = At { bucket, slot: found.trailing_zeros() as usize };
        Some((at, self.session(at)?))
    }

    /// A free slot in the first bucket, else in the second, else the session to evict: the least recently seen one of the lowest
    /// class.
    pub(crate) fn room(&self, fingerprint: Fingerprint, moment: Moment) -> Room {
        let [first, second] = candidates(fingerprint);
        let (rank, slot) = self.buckets[first].victim(moment);
        let at = At { bucket: first, slot };
        if rank.is_free() {
            return Room::Free(at);
        }
        let (other, slot) = self.buckets[second].victim(moment);
        let at = if other < rank { At { bucket: second, slot } } else { at };
        match self.session(at) {
            Some(Session { class, .. }) if !other.is_free() => Room::Taken(at, class),
            Some(_) | None => Room::Free(at),
        }
    }

    /// Finds a session in one of the name's two buckets that can move to its own other bucket: from and to.
    pub(crate) fn relocation(&self, fingerprint: Fingerprint, moment: Moment) -> Option<(At, At)> {
        let slots = |bucket| (0..SLOTS).map(move |slot| At { bucket, slot });
        candidates(fingerprint).into_iter().flat_map(slots).find_map(|from| {
            let neighbor = self.entry(from)?;
            let other = candidates(neighbor.fingerprint).into_iter().find(|bucket| *bucket != from.bucket)?;
            self.free(other, moment).map(|slot| (from, At { bucket: other, slot }))
        })
    }

    pub(crate) fn session(&self, at: At) -> Option<Session> {
        self.buckets[at.bucket].session(at.slot)
    }

    pub(crate) fn entry(&self, at: At) -> Option<Entry> {
        self.buckets[at.bucket].entry(at.slot)
    }

    pub(crate) fn put(&mut self, at: At, entry: &Entry) {
        self.buckets[at.bucket].put(at.slot, entry);
    }

    pub(crate) fn set(&mut self, at: At, session: Session) {
        self.buckets[at.bucket].set(at.slot, session);
    }

    pub(crate) fn clear(&mut self, at: At) {
        self.buckets[at.bucket].clear(at.slot);
    }

    /// A free slot of a bucket: an unused one, else that of an expired session.
    fn free(&self, bucket: usize, moment: Moment) -> Option<usize> {
        let (rank, slot) = self.buckets[bucket].victim(moment);
        rank.is_free().then_some(slot)
    }
}

impl At {
    /// The slot with this index, below [`Page::SLOTS`].
    pub(crate) fn index(index: usize) -> Self {
        Self { bucket: index / SLOTS, slot: index % SLOTS }
    }
}

/// The two different buckets of a name.
#[inline]
fn candidates(fingerprint: Fingerprint) -> [usize; 2] {
    let scale = |draw: u16, below: usize| (usize::from(draw) * below) >> 16;
    // The bytes before these choose the shard and the page.
    let [.., a, b, c, d] = fingerprint.bytes();
    let first = scale(u16::from_be_bytes([a, b]), BUCKETS);
    let second = first + 1 + scale(u16::from_be_bytes([c, d]), BUCKETS - 1);
    [first, if second < BUCKETS { second } else { second - BUCKETS }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::lifetime::Lifetime;
    use crate::session::stamps::Stamps;
    use crate::table::entry::ServerIndex;
    use crate::time::{Skipped, UnixSeconds};
    use proptest::prelude::*;

    const MOMENT: Moment =
        Moment { lifetime: Lifetime { idle: Some(100), life: None }, now: UnixSeconds(10_000), skipped: Skipped::NONE };

    /// A name whose buckets are the first two.
    fn named(n: u32) -> Fingerprint {
        Fingerprint::from_bits(u128::from(n) << 64)
    }

    fn entry(n: u32, seen: u32, class: EvictionClass) -> Entry {
        let stamps = Stamps { issued: UnixSeconds(seen), seen: UnixSeconds(seen) };
        Entry { fingerprint: named(n), session: Session { server: ServerIndex(0), stamps, class } }
    }

    /// A page whose first two buckets are full.
    fn full(session: impl Fn(u32) -> (u32, EvictionClass)) -> Page {
        let mut page = Page::EMPTY;
        for n in 0..2 * SLOTS as u32 {
            let (seen, class) = session(n);
            page.put(At::index(n as usize), &entry(n, seen, class));
        }
        page
    }

    fn evicted(page: &Page) -> Option<(At, EvictionClass)> {
        match page.room(named(99), MOMENT) {
            Room::Taken(at, class) => Some((at, class)),
            Room::Free(_) => None,
        }
    }

    #[test]
    fn a_full_first_bucket_sends_a_session_to_its_second() {
        let mut page = full(|_| (9_990, EvictionClass::New));
        page.clear(At::index(8));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 1, slot: 1 })));
        page.clear(At::index(3));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 0, slot: 3 })));
    }

    #[test]
    fn unused_slots_come_before_slots_of_expired_sessions() {
        let mut page = full(|n| (if n < 3 { 9_000 } else { 9_990 }, EvictionClass::Established));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 0, slot: 0..=2 })));
        page.clear(At::index(5));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 0, slot: 5 })));
    }

    #[test]
    fn eviction_goes_by_class_then_by_least_recently_seen() {
        let classes = |n| [EvictionClass::OverBudget, EvictionClass::New, EvictionClass::Established][n as usize % 3];
        let page = full(|n| (9_990 - n, classes(n)));
        assert_eq!(evicted(&page), Some((At::index(12), EvictionClass::OverBudget)));
        let page = full(|n| (if n == 4 { 9_950 } else { 9_990 }, EvictionClass::Established));
        assert_eq!(evicted(&page), Some((At::index(4), EvictionClass::Established)));
    }

    #[test]
    fn a_future_stamp_counts_as_now_for_eviction() {
        let page = full(|n| (if n == 2 { 20_000 } else { 10_000 + n }, EvictionClass::New));
        assert_eq!(evicted(&page), Some((At::index(0), EvictionClass::New)));
    }

    #[test]
    fn a_neighbor_moves_to_make_room() {
        let mut page = full(|_| (9_990, EvictionClass::New));
        assert_eq!(page.relocation(named(99), MOMENT), None, "all have the same two buckets");
        let mut other = entry(50, 9_990, EvictionClass::New);
        other.fingerprint = Fingerprint::from_bits(50 << 64 | 0x8000);
        let from = At::index(6);
        page.put(from, &other);
        let (found, to) = page.relocation(named(99), MOMENT).unwrap();
        assert_eq!((found, to.bucket), (from, 11));
    }

    proptest! {
        #[test]
        fn a_name_has_two_buckets(bits: u128) {
            let [first, second] = candidates(Fingerprint::from_bits(bits));
            prop_assert!(first != second && first < BUCKETS && second < BUCKETS);
        }
    }
}
