//! A page of memory with 147 slots. In it a name has two buckets: it is put into the second when the first is full, and
//! when both are, a neighbour moves to its other bucket or somebody goes.
//!
//! That both lie in one page is what makes a large table fast: the second costs the processor no second walk through its page
//! table, which takes longer than the memory itself. The price is that a page may by chance be dealt more names than others;
//! [`Size`](super::size::Size) leaves room for that.

use std::hint::black_box;

use super::bucket::{Bucket, SLOTS};
use super::entry::{Class, Entry, Session};
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

/// Where a session can go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Room {
    Free(At),
    /// Both buckets are full of sessions that live; this is the one to go.
    Taken(At, Class),
}

impl Page {
    pub(crate) const EMPTY: Self = Self { buckets: [Bucket::EMPTY; BUCKETS] };

    pub(crate) const SLOTS: usize = BUCKETS * SLOTS;

    /// Nine in ten sessions are in their first bucket, and the processor guesses so. All three lines of a bucket are asked for
    /// before anything is known of one, so that their way from memory is waited for once.
    #[inline]
    pub(crate) fn locate(&self, fingerprint: Fingerprint) -> Option<(At, Session)> {
        let [first, second] = candidates(fingerprint);
        self.locate_in(first, fingerprint).or_else(|| self.locate_in(second, fingerprint))
    }

    #[inline]
    fn locate_in(&self, bucket: usize, fingerprint: Fingerprint) -> Option<(At, Session)> {
        // The dates lie in a line of their own, which would otherwise be asked for only when the slot is known.
        black_box(self.buckets[bucket].dates());
        let found = self.buckets[bucket].matches(fingerprint);
        if found == 0 {
            return None;
        }
        let at = At { bucket, slot: found.trailing_zeros() as usize };
        Some((at, self.session(at)?))
    }

    /// A free slot in the first bucket, else in the second, else the session to go: of the lowest class, and of that the one
    /// not seen for longest.
    pub(crate) fn room(&self, fingerprint: Fingerprint, moment: Moment) -> Room {
        let [first, second] = candidates(fingerprint);
        let (rank, slot) = self.buckets[first].next_to_go(moment);
        let at = At { bucket: first, slot };
        if rank.is_free() {
            return Room::Free(at);
        }
        let (other, slot) = self.buckets[second].next_to_go(moment);
        let at = if other < rank { At { bucket: second, slot } } else { at };
        match self.session(at) {
            Some(Session { class, .. }) if !other.is_free() => Room::Taken(at, class),
            Some(_) | None => Room::Free(at),
        }
    }

    /// A session in one of the two buckets of a name that could be in its other bucket as well: from where to where.
    pub(crate) fn way_out(&self, fingerprint: Fingerprint, moment: Moment) -> Option<(At, At)> {
        let slots = |bucket| (0..SLOTS).map(move |slot| At { bucket, slot });
        candidates(fingerprint).into_iter().flat_map(slots).find_map(|from| {
            let neighbour = self.entry(from)?;
            let other = candidates(neighbour.fingerprint).into_iter().find(|bucket| *bucket != from.bucket)?;
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

    /// A free slot of a bucket: one never used, else that of an expired session.
    fn free(&self, bucket: usize, moment: Moment) -> Option<usize> {
        let (rank, slot) = self.buckets[bucket].next_to_go(moment);
        rank.is_free().then_some(slot)
    }
}

impl At {
    /// The slot with this number, which is below [`Page::SLOTS`].
    pub(crate) fn index(index: usize) -> Self {
        Self { bucket: index / SLOTS, slot: index % SLOTS }
    }
}

/// The two buckets of a name. They differ.
#[inline]
fn candidates(fingerprint: Fingerprint) -> [usize; 2] {
    let scale = |draw: u16, below: usize| (usize::from(draw) * below) >> 16;
    // What is before has chosen the shard and the page.
    let [.., a, b, c, d] = fingerprint.octets();
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
    use crate::time::UnixSeconds;
    use proptest::prelude::*;

    const MOMENT: Moment = Moment { lifetime: Lifetime { idle: Some(100), life: None }, now: UnixSeconds(10_000) };

    /// A name with the first two buckets for its own.
    fn named(n: u32) -> Fingerprint {
        Fingerprint::from_bits(u128::from(n) << 64)
    }

    fn entry(n: u32, seen: u32, class: Class) -> Entry {
        let stamps = Stamps { issued: UnixSeconds(seen), seen: UnixSeconds(seen) };
        Entry { fingerprint: named(n), session: Session { server: ServerIndex(0), stamps, class } }
    }

    /// The first two buckets full of sessions.
    fn full(session: impl Fn(u32) -> (u32, Class)) -> Page {
        let mut page = Page::EMPTY;
        for n in 0..2 * SLOTS as u32 {
            let (seen, class) = session(n);
            page.put(At::index(n as usize), &entry(n, seen, class));
        }
        page
    }

    fn goes(page: &Page) -> Option<(At, Class)> {
        match page.room(named(99), MOMENT) {
            Room::Taken(at, class) => Some((at, class)),
            Room::Free(_) => None,
        }
    }

    #[test]
    fn a_session_goes_to_its_second_bucket_when_the_first_is_full() {
        let mut page = full(|_| (9_990, Class::New));
        page.clear(At::index(8));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 1, slot: 1 })));
        page.clear(At::index(3));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 0, slot: 3 })));
    }

    #[test]
    fn the_place_of_an_expired_session_is_free_but_a_place_never_used_comes_first() {
        let mut page = full(|n| (if n < 3 { 9_000 } else { 9_990 }, Class::Established));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 0, slot: 0..=2 })));
        page.clear(At::index(5));
        assert!(matches!(page.room(named(99), MOMENT), Room::Free(At { bucket: 0, slot: 5 })));
    }

    #[test]
    fn class_decides_who_goes_and_then_who_was_not_seen_for_longest() {
        let classes = |n| [Class::OverBudget, Class::New, Class::Established][n as usize % 3];
        let page = full(|n| (9_990 - n, classes(n)));
        assert_eq!(goes(&page), Some((At::index(12), Class::OverBudget)));
        let page = full(|n| (if n == 4 { 9_950 } else { 9_990 }, Class::Established));
        assert_eq!(goes(&page), Some((At::index(4), Class::Established)));
    }

    #[test]
    fn a_stamp_in_the_future_makes_nobody_younger_than_now() {
        let page = full(|n| (if n == 2 { 20_000 } else { 10_000 + n }, Class::New));
        assert_eq!(goes(&page), Some((At::index(0), Class::New)));
    }

    #[test]
    fn a_neighbour_that_could_be_elsewhere_makes_room() {
        let mut page = full(|_| (9_990, Class::New));
        assert_eq!(page.way_out(named(99), MOMENT), None, "all have the same two buckets");
        let mut other = entry(50, 9_990, Class::New);
        other.fingerprint = Fingerprint::from_bits(50 << 64 | 0x8000);
        let from = At::index(6);
        page.put(from, &other);
        let (found, to) = page.way_out(named(99), MOMENT).unwrap();
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
