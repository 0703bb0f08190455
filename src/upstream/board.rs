//! Where requests and health checks leave notes for the next pick: which servers have fewer requests in flight than the
//! pick's order assumes, and whether the health of any server has changed. Leaving one takes no lock of the upstream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use super::spec::Tier;

pub(super) const BITS: usize = u64::BITS as usize;

/// The notes about the servers of one tier, by position.
#[derive(Debug)]
pub(crate) struct Board {
    /// Counts changes of health.
    epoch: AtomicU64,
    /// A bit for each server.
    noted: Box<[AtomicU64]>,
    /// A bit for each word of `noted` that may not be 0.
    words: Box<[AtomicU64]>,
}

/// The boards of an upstream.
#[derive(Debug)]
pub(super) struct Boards {
    primary: Arc<Board>,
    backup: Arc<Board>,
}

/// Whether notes are left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Left {
    Nothing,
    Some,
}

impl Boards {
    pub(super) fn new(servers: usize) -> Self {
        Self { primary: Arc::new(Board::new(servers)), backup: Arc::new(Board::new(servers)) }
    }

    pub(super) fn of(&self, tier: Tier) -> &Arc<Board> {
        match tier {
            Tier::Primary => &self.primary,
            Tier::Backup => &self.backup,
        }
    }

    /// The number of changes of health until now.
    pub(super) fn epoch(&self) -> u64 {
        self.primary.epoch() + self.backup.epoch()
    }
}

impl Board {
    fn new(servers: usize) -> Self {
        let noted = zeros(servers);
        Self { epoch: AtomicU64::new(0), words: zeros(noted.len()), noted }
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    /// The health of a server changed.
    pub(crate) fn health_changed(&self) {
        self.epoch.fetch_add(1, SeqCst);
    }

    /// Notes the server at this position.
    pub(crate) fn note(&self, at: usize) {
        set(&self.noted, at);
        set(&self.words, at / BITS);
    }

    pub(super) fn is_noted(&self, at: usize) -> bool {
        is_set(&self.noted, at)
    }

    /// Takes notes, and some more than `most` if they are close together.
    pub(super) fn take(&self, most: usize, mut each: impl FnMut(usize)) -> Left {
        let mut taken = 0;
        for (nth, words) in self.words.iter().enumerate() {
            for word in bits(words.load(SeqCst)) {
                if taken >= most {
                    return Left::Some;
                }
                // In this order, since it is noted in the other.
                words.fetch_and(!(1 << word), SeqCst);
                let word = nth * BITS + word;
                for bit in bits(self.noted[word].swap(0, SeqCst)) {
                    taken += 1;
                    each(word * BITS + bit);
                }
            }
        }
        Left::Nothing
    }
}

pub(super) fn zeros(bits: usize) -> Box<[AtomicU64]> {
    (0..bits.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect()
}

/// Sets a bit, without writing if it is set.
pub(super) fn set(words: &[AtomicU64], at: usize) {
    if !is_set(words, at) {
        words[at / BITS].fetch_or(1 << (at % BITS), SeqCst);
    }
}

pub(super) fn is_set(words: &[AtomicU64], at: usize) -> bool {
    words[at / BITS].load(SeqCst) & (1 << (at % BITS)) != 0
}

/// The bits that are set, lowest first.
pub(super) fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn each_noted_server_is_taken_once(noted in prop::collection::btree_set(0..9_000usize, 0..200), most in 1..100usize) {
            let board = Board::new(9_000);
            noted.iter().chain(&noted).for_each(|&at| board.note(at));
            let mut taken = Vec::new();
            while board.take(most, |at| taken.push(at)) == Left::Some {}
            prop_assert_eq!(taken.len(), noted.len());
            prop_assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), noted);
        }
    }
}
