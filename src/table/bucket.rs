//! Seven sessions in three cache lines, 27.4 bytes each. The fields that a search compares first come first; the space that the
//! eight-byte and four-byte words leave in the three lines holds the small fields.

use super::entry::{Entry, EvictionClass, ServerIndex, Session};
use super::moment::Moment;
use crate::session::fingerprint::Fingerprint;
use crate::session::stamps::Stamps;
use crate::time::UnixSeconds;

pub(crate) const SLOTS: usize = 7;

const EMPTY: u8 = 0;

#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Bucket {
    /// Fingerprints' first halves.
    high: [u64; SLOTS],
    /// [`EMPTY`], or an eviction class plus one.
    state: [u8; SLOTS],

    low: [u64; SLOTS],
    server_low: [u8; SLOTS],

    seen: [u32; SLOTS],
    issued: [u32; SLOTS],
    server_high: [u8; SLOTS],
}

/// The order in which slots are reused: unused slots first, then expired sessions, then live sessions by eviction class and,
/// within a class, by when they were last seen.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Rank(u64);

impl Rank {
    /// Whether reusing the slot evicts no live session.
    pub(crate) fn is_free(self) -> bool {
        self.0 >> 32 < 2
    }
}

const _: () = assert!(size_of::<Bucket>() == 192);

impl Bucket {
    pub(crate) const EMPTY: Self = Self {
        high: [0; SLOTS],
        state: [EMPTY; SLOTS],
        low: [0; SLOTS],
        server_low: [0; SLOTS],
        seen: [0; SLOTS],
        issued: [0; SLOTS],
        server_high: [0; SLOTS],
    };

    /// The slots with this fingerprint, as bits: none or one. It compares all slots without a branch, so that the processor can
    /// fetch the name's other bucket before it knows the result.
    #[inline]
    pub(crate) fn matches(&self, fingerprint: Fingerprint) -> u32 {
        let (high, low) = halves(fingerprint);
        let mut found = 0;
        for slot in 0..SLOTS {
            let same = (self.high[slot] == high) & (self.low[slot] == low) & (self.state[slot] != EMPTY);
            found |= u32::from(same) << slot;
        }
        found
    }

    /// Touches the cache line that holds the dates.
    #[inline]
    pub(crate) fn dates(&self) -> u32 {
        self.seen[0]
    }

    /// The slot to reuse for the next session of this bucket, and its rank. It compares all slots without a branch, because the
    /// result is unpredictable.
    #[inline]
    pub(crate) fn victim(&self, moment: Moment) -> (Rank, usize) {
        let mut next = (self.rank(0, moment), 0);
        for slot in 1..SLOTS {
            next = next.min((self.rank(slot, moment), slot));
        }
        next
    }

    fn rank(&self, slot: usize, moment: Moment) -> Rank {
        let stamps = Stamps { issued: UnixSeconds(self.issued[slot]), seen: UnixSeconds(self.seen[slot]) };
        let lives = moment.check_stamps(stamps).is_ok();
        let seen = u64::from(stamps.seen.min(moment.now).0);
        Rank(match (self.state[slot], lives) {
            (EMPTY, _) => 0,
            (_, false) => 1 << 32,
            (class, true) => ((u64::from(class) + 1) << 32) | seen,
        })
    }

    pub(crate) fn session(&self, slot: usize) -> Option<Session> {
        let class = class(self.state[slot])?;
        let stamps = Stamps { issued: UnixSeconds(self.issued[slot]), seen: UnixSeconds(self.seen[slot]) };
        let server = ServerIndex(u16::from_be_bytes([self.server_high[slot], self.server_low[slot]]));
        Some(Session { server, stamps, class })
    }

    pub(crate) fn entry(&self, slot: usize) -> Option<Entry> {
        let session = self.session(slot)?;
        let bits = u128::from(self.high[slot]) << 64 | u128::from(self.low[slot]);
        Some(Entry { fingerprint: Fingerprint::from_bits(bits), session })
    }

    pub(crate) fn put(&mut self, slot: usize, entry: &Entry) {
        (self.high[slot], self.low[slot]) = halves(entry.fingerprint);
        self.set(slot, entry.session);
    }

    pub(crate) fn set(&mut self, slot: usize, session: Session) {
        self.state[slot] = session.class as u8 + 1;
        self.seen[slot] = session.stamps.seen.0;
        self.issued[slot] = session.stamps.issued.0;
        [self.server_high[slot], self.server_low[slot]] = session.server.0.to_be_bytes();
    }

    pub(crate) fn clear(&mut self, slot: usize) {
        self.state[slot] = EMPTY;
    }
}

fn halves(fingerprint: Fingerprint) -> (u64, u64) {
    let bits = fingerprint.bits();
    ((bits >> 64) as u64, bits as u64)
}

fn class(state: u8) -> Option<EvictionClass> {
    EvictionClass::ALL.get(usize::from(state.checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stored_entry_is_found_and_read_back(bits: u128, other: u128, slot in 0..SLOTS, server: u16, seen: u32, issued: u32, class in 0_usize..3) {
            let stamps = Stamps { issued: UnixSeconds(issued), seen: UnixSeconds(seen) };
            let session = Session { server: ServerIndex(server), stamps, class: EvictionClass::ALL[class] };
            let entry = Entry { fingerprint: Fingerprint::from_bits(bits), session };
            let mut bucket = Bucket::EMPTY;
            bucket.put(slot, &entry);
            prop_assert_eq!(bucket.matches(entry.fingerprint), 1 << slot);
            prop_assert_eq!(bucket.matches(Fingerprint::from_bits(other)), u32::from(other == bits) << slot);
            prop_assert_eq!(bucket.entry(slot), Some(entry));
            bucket.clear(slot);
            prop_assert_eq!(bucket.matches(entry.fingerprint), 0);
            prop_assert_eq!(bucket.entry(slot), None);
        }
    }

    #[test]
    fn an_empty_bucket_matches_nothing() {
        assert_eq!(Bucket::EMPTY.matches(Fingerprint::from_bits(0)), 0);
    }
}
