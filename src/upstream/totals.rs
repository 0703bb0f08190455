//! How much is in flight at the servers of an upstream together, for `load_factor`. The sums are kept, not added up: each server has
//! its number in flight and how it counts in one word, so every change knows exactly what it changes in the sums. It knows no server.
//!
//! A change reaches the word first and the sums right after it. In between they are off by this request, or by the whole server if the
//! request made it full. Changes do not add up to an error, in whatever order they arrive.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64};

use super::spec::Tier;

/// The sums of an upstream.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Of all servers that serve sessions.
    serving: Total,
    /// Of the candidates of each tier that have room for new sessions.
    primary: Total,
    backup: Total,
    /// Whether a request has asked for them: most upstreams have no `load_factor`.
    is_asked: AtomicBool,
}

/// Requests in flight in the lower half, and weights in the upper half: in one word, so that both are of the same servers.
#[derive(Debug, Default)]
struct Total(AtomicI64);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) weights: u64,
}

/// A server's number of requests in flight, in the lower half, and its share in the upper half.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Counted(u64);

/// How a server counts: its weight, the sums that it is part of, and its limit for new sessions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Share(u32);

const WEIGHT: u32 = 0x1ff;
const SERVING: u32 = 1 << 9;
const PRIMARY: u32 = 1 << 10;
const BACKUP: u32 = 1 << 11;
const LIMIT_BITS: u32 = 12;
/// Limits from here on count as none: a server does not have a million requests in flight.
const NO_LIMIT: u32 = (1 << (u32::BITS - LIMIT_BITS)) - 1;

impl Share {
    /// A server that counts in no sum.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn serving(self, weight: u32) -> Self {
        Self(self.0 | SERVING | weight)
    }

    pub(crate) fn candidate(self, tier: Tier, weight: u32, limit: Option<u32>) -> Self {
        let limit = limit.unwrap_or(NO_LIMIT).min(NO_LIMIT);
        Self(self.0 | bit(tier) | weight | limit << LIMIT_BITS)
    }

    fn has_room(self, in_flight: u32) -> bool {
        let limit = self.0 >> LIMIT_BITS;
        limit == NO_LIMIT || in_flight < limit
    }
}

fn bit(tier: Tier) -> u32 {
    match tier {
        Tier::Primary => PRIMARY,
        Tier::Backup => BACKUP,
    }
}

impl Counted {
    pub(crate) fn of(word: u64) -> Self {
        Self(word)
    }

    pub(crate) fn in_flight(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn share(self) -> Share {
        Share((self.0 >> u32::BITS) as u32)
    }

    /// The word with the same number in flight and this share.
    pub(crate) fn with(self, share: Share) -> u64 {
        u64::from(share.0) << u32::BITS | u64::from(self.in_flight())
    }

    fn whole(self) -> i64 {
        i64::from(self.share().0 & WEIGHT) << u32::BITS | i64::from(self.in_flight())
    }

    fn of_serving(self) -> i64 {
        if self.share().0 & SERVING == 0 { 0 } else { self.whole() }
    }

    fn of_tier(self, tier: Tier) -> i64 {
        let counts = self.share().0 & bit(tier) != 0 && self.share().has_room(self.in_flight());
        if counts { self.whole() } else { 0 }
    }

    /// Its part of the sum of candidates of this tier.
    pub(crate) fn part(self, tier: Tier) -> Sum {
        Sum::of(self.of_tier(tier))
    }
}

impl Totals {
    /// The word of a server has changed.
    pub(crate) fn change(&self, before: Counted, after: Counted) {
        self.serving.add(after.of_serving() - before.of_serving());
        self.primary.add(after.of_tier(Tier::Primary) - before.of_tier(Tier::Primary));
        self.backup.add(after.of_tier(Tier::Backup) - before.of_tier(Tier::Backup));
    }

    pub(crate) fn serving(&self) -> Sum {
        self.serving.get()
    }

    pub(crate) fn candidates(&self, tier: Tier) -> Sum {
        match tier {
            Tier::Primary => self.primary.get(),
            Tier::Backup => self.backup.get(),
        }
    }

    pub(crate) fn are_asked_for(&self) -> bool {
        self.is_asked.load(SeqCst)
    }

    /// A request asks for the sums. Whether it is the first.
    pub(crate) fn ask(&self) -> bool {
        !self.is_asked.swap(true, SeqCst)
    }

    /// Another configuration: it may have no `load_factor`.
    pub(crate) fn forget_askers(&self) {
        self.is_asked.store(false, SeqCst);
    }
}

impl Total {
    fn add(&self, change: i64) {
        if change != 0 {
            self.0.fetch_add(change, Relaxed);
        }
    }

    fn get(&self) -> Sum {
        Sum::of(self.0.load(Relaxed))
    }
}

impl Sum {
    /// Either half may be below zero for a moment, if changes arrive in another order.
    fn of(word: i64) -> Self {
        let requests = i64::from(word as i32);
        let weights = (word - requests) >> u32::BITS;
        Self { requests: requests.max(0) as u64, weights: weights.max(0) as u64 }
    }

    pub(crate) fn without(self, part: Self) -> Self {
        let requests = self.requests.saturating_sub(part.requests);
        Self { requests, weights: self.weights.saturating_sub(part.weights) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_share() -> impl Strategy<Value = Share> {
        let tier = prop::option::of(prop::sample::select(vec![Tier::Primary, Tier::Backup]));
        let limit = prop_oneof![Just(None), (1..6u32).prop_map(Some), Just(Some(u32::MAX))];
        (1..=256u32, any::<bool>(), tier, limit).prop_map(|(weight, serves, tier, limit)| {
            let share = if serves { Share::NONE.serving(weight) } else { Share::NONE };
            tier.map_or(share, |tier| share.candidate(tier, weight, limit))
        })
    }

    proptest! {
        /// Whatever happens to servers, and in whatever order that reaches the sums.
        #[test]
        fn sums_are_those_of_the_servers(
            changes in prop::collection::vec((0..4usize, prop_oneof![
                (0..8u32).prop_map(Ok), any_share().prop_map(Err)
            ]), 0..60).prop_flat_map(|made| (Just(made.clone()), Just(made).prop_map(|made| (0..made.len()).collect::<Vec<_>>()).prop_shuffle()))
        ) {
            let (made, order) = changes;
            let mut words = [Counted(0); 4];
            let steps: Vec<_> = made.into_iter().map(|(server, change)| {
                let before = words[server];
                let after = match change {
                    Ok(in_flight) => Counted(u64::from(before.share().0) << 32 | u64::from(in_flight)),
                    Err(share) => Counted(before.with(share)),
                };
                words[server] = after;
                (before, after)
            }).collect();
            let totals = Totals::default();
            order.into_iter().for_each(|nth| totals.change(steps[nth].0, steps[nth].1));
            let sum = |counts: &dyn Fn(&Counted) -> bool| words.iter().filter(|word| counts(word)).fold(Sum::default(), |sum, word| Sum {
                requests: sum.requests + u64::from(word.in_flight()),
                weights: sum.weights + u64::from(word.share().0 & WEIGHT),
            });
            prop_assert_eq!(totals.serving(), sum(&|word| word.share().0 & SERVING != 0));
            for tier in [Tier::Primary, Tier::Backup] {
                let has_room = |word: &Counted| word.share().has_room(word.in_flight());
                prop_assert_eq!(totals.candidates(tier), sum(&|word| word.share().0 & bit(tier) != 0 && has_room(word)));
            }
        }
    }

    #[test]
    fn what_arrives_in_another_order_is_no_large_number() {
        let totals = Totals::default();
        let share = Share::NONE.candidate(Tier::Primary, 3, None);
        let (empty, one) = (Counted(Counted(0).with(share)), Counted(Counted(1).with(share)));
        totals.change(Counted(0), empty);
        totals.change(one, empty);
        assert_eq!(totals.candidates(Tier::Primary), Sum { requests: 0, weights: 3 });
        totals.change(empty, Counted(0));
        totals.change(empty, Counted(0));
        assert_eq!(totals.candidates(Tier::Primary), Sum::default());
        totals.change(empty, one);
        totals.change(Counted(0), empty);
        totals.change(Counted(0), empty);
        assert_eq!(totals.candidates(Tier::Primary), Sum { requests: 0, weights: 3 });
    }
}
