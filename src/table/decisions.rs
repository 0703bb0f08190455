//! The order of decisions that several processes make about the same sessions, and a shard's memory of the latest ones. It reads
//! no clock and sends nothing.
//!
//! Each creation, move and deletion of a session is a decision. Decisions about one session are ordered by time, then by server, so
//! all processes that know the same decisions agree on the last one. A process dates its decision at least one millisecond after
//! whatever it knows of that session: what it decides with knowledge of an earlier decision wins, whatever the clocks show.
//!
//! The table's entries have no room for this order. It is remembered only while other processes exchange changes with this one, and
//! only for the latest decisions: one that was never remembered, or no longer is, counts as earlier than any that is received.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use twox_hash::XxHash64;

use crate::ids::ServerId;
use crate::session::fingerprint::Fingerprint;
use crate::time::UnixMillis;

/// A decision about one session, in the order in which decisions take effect.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Decision {
    pub(crate) at: UnixMillis,
    pub(crate) rank: Rank,
}

/// The order of decisions of the same millisecond: a hash of the server's id, alike in all processes and versions. A deletion comes
/// before any server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Rank(u64);

/// Whether a decision takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Later,
    /// It is known already.
    Same,
    Earlier,
}

/// The latest decisions about a shard's sessions. It holds at least the last `bound` sessions, at most twice as many.
#[derive(Debug)]
pub(crate) struct Decisions {
    bound: usize,
    recent: HashMap<Fingerprint, Decision, FxBuildHasher>,
    earlier: HashMap<Fingerprint, Decision, FxBuildHasher>,
}

impl Rank {
    pub(crate) const FORGOTTEN: Self = Self(0);

    pub(crate) fn of(server: &ServerId) -> Self {
        Self(XxHash64::oneshot(0, server.as_str().as_bytes()).max(1))
    }
}

impl Decisions {
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound, recent: HashMap::default(), earlier: HashMap::default() }
    }

    /// Dates a decision of this process, made `now`, and remembers it.
    pub(crate) fn decide(&mut self, name: Fingerprint, rank: Rank, now: UnixMillis) -> UnixMillis {
        let at = self.get(name).map_or(now, |known| now.max(known.at.next()));
        self.put(name, Decision { at, rank });
        at
    }

    /// Compares a decision of another process with what is known of the session, and remembers it if it is later.
    pub(crate) fn admit(&mut self, name: Fingerprint, decision: Decision) -> Verdict {
        match self.get(name) {
            Some(known) if known > decision => Verdict::Earlier,
            Some(known) if known == decision => Verdict::Same,
            Some(_) | None => {
                self.put(name, decision);
                Verdict::Later
            }
        }
    }

    pub(crate) fn get(&self, name: Fingerprint) -> Option<Decision> {
        self.recent.get(&name).or_else(|| self.earlier.get(&name)).copied()
    }

    /// The deletions among them.
    pub(crate) fn deletions(&self) -> impl Iterator<Item = (Fingerprint, UnixMillis)> {
        let outdated = self.earlier.iter().filter(|(name, _)| !self.recent.contains_key(name));
        let all = self.recent.iter().chain(outdated);
        all.filter(|(_, decision)| decision.rank == Rank::FORGOTTEN).map(|(name, decision)| (*name, decision.at))
    }

    fn put(&mut self, name: Fingerprint, decision: Decision) {
        if self.recent.len() >= self.bound && !self.recent.contains_key(&name) {
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.insert(name, decision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u8) -> Fingerprint {
        Fingerprint::from_bytes([n; 16])
    }

    fn rank(id: &str) -> Rank {
        Rank::of(&ServerId::parse(id).unwrap())
    }

    #[test]
    fn a_decision_is_later_than_what_was_known_even_if_the_clock_lags() {
        let mut decisions = Decisions::new(8);
        assert_eq!(decisions.decide(name(1), rank("a"), UnixMillis(500)), UnixMillis(500));
        let received = Decision { at: UnixMillis(900), rank: rank("b") };
        assert_eq!(decisions.admit(name(1), received), Verdict::Later);
        assert_eq!(decisions.admit(name(1), received), Verdict::Same);
        assert_eq!(decisions.decide(name(1), Rank::FORGOTTEN, UnixMillis(600)), UnixMillis(901));
        assert_eq!(decisions.admit(name(1), received), Verdict::Earlier);
    }

    #[test]
    fn decisions_of_one_millisecond_are_ordered_by_server_and_deletions_come_first() {
        let (a, b) = (rank("a"), rank("b"));
        let mut in_order = [Rank::FORGOTTEN, a.min(b), a.max(b)];
        in_order.reverse();
        for first in in_order {
            let mut decisions = Decisions::new(8);
            in_order.iter().cycle().skip_while(|rank| **rank != first).take(3).for_each(|rank| {
                decisions.admit(name(1), Decision { at: UnixMillis(5), rank: *rank });
            });
            assert_eq!(decisions.get(name(1)), Some(Decision { at: UnixMillis(5), rank: a.max(b) }));
        }
    }

    #[test]
    fn the_latest_decisions_are_remembered_within_the_bound() {
        let mut decisions = Decisions::new(8);
        for n in 0..100 {
            decisions.decide(name(n), rank("a"), UnixMillis(n.into()));
            assert!((0..=n).rev().take(8).all(|n| decisions.get(name(n)).is_some()));
            assert!(decisions.recent.len() + decisions.earlier.len() <= 16);
        }
        assert_eq!(decisions.get(name(1)), None);
    }

    #[test]
    fn a_deleted_session_that_was_created_again_is_no_deletion() {
        let mut decisions = Decisions::new(1);
        decisions.decide(name(1), Rank::FORGOTTEN, UnixMillis(1));
        assert_eq!(decisions.deletions().collect::<Vec<_>>(), [(name(1), UnixMillis(1))]);
        decisions.decide(name(2), rank("a"), UnixMillis(1));
        decisions.decide(name(1), rank("a"), UnixMillis(2));
        assert_eq!(decisions.deletions().collect::<Vec<_>>(), []);
    }
}
