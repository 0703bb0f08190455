//! Which servers have room for new sessions, and which are full and can be waited at, as far as the order of a tier knows: a few bytes
//! that a walk along the ring reads without a lock. What has changed since is noted on the board.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use super::board::{BITS, bits, is_set, set, zeros};

/// A bit for each server, by position.
#[derive(Debug)]
pub(super) struct Marks {
    open: Box<[AtomicU64]>,
    full: Box<[AtomicU64]>,
}

/// What a server is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    Serve,
    Wait,
}

impl Marks {
    pub(super) fn new(servers: usize) -> Self {
        Self { open: zeros(servers), full: zeros(servers) }
    }

    pub(super) fn mark(&self, at: usize, purpose: Option<Purpose>) {
        match purpose {
            Some(Purpose::Serve) => set(&self.open, at),
            Some(Purpose::Wait) | None => clear(&self.open, at),
        }
        match purpose {
            Some(Purpose::Wait) => set(&self.full, at),
            Some(Purpose::Serve) | None => clear(&self.full, at),
        }
    }

    /// Whether the server is good for this. One that can be waited at may also have room again.
    pub(super) fn is_good(&self, at: usize, purpose: Purpose) -> bool {
        is_set(&self.open, at) || (purpose == Purpose::Wait && is_set(&self.full, at))
    }

    /// All servers that are good for this.
    pub(super) fn good(&self, purpose: Purpose) -> impl Iterator<Item = usize> {
        let words = self.open.iter().zip(&self.full).enumerate();
        words.flat_map(move |(nth, (open, full))| {
            let full = if purpose == Purpose::Wait { full.load(SeqCst) } else { 0 };
            bits(open.load(SeqCst) | full).map(move |bit| nth * BITS + bit)
        })
    }
}

fn clear(words: &[AtomicU64], at: usize) {
    if is_set(words, at) {
        words[at / BITS].fetch_and(!(1 << (at % BITS)), SeqCst);
    }
}
