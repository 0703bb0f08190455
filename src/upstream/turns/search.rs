//! Searches in the order: for the next server and for one to wait at. Each corrects the keys that it finds
//! wrong.

use smallvec::SmallVec;

use super::{All, CORRECTIONS, Class, LATEST, Turns};
use crate::upstream::board::Left;
use crate::upstream::marks::Purpose;
use crate::upstream::queue::Slot;

/// The outcome of a pick.
pub(in crate::upstream) enum Turn {
    Picked(usize, Slot),
    /// No server has room.
    Nobody,
    /// So many keys were corrected that others should have the lock first.
    Again,
}

/// The outcome of a search for a server to wait at.
pub(in crate::upstream) enum Waiting {
    At(usize),
    Nobody,
    Again,
}

/// The first member whose key is true.
enum First {
    Found(usize),
    Nobody,
    Again,
}

impl Turns {
    /// Takes a slot at the next server, except for those that `unusable` names for this request alone.
    pub(in crate::upstream) fn next(&mut self, all: &All<'_>, unusable: impl Fn(usize) -> bool) -> Turn {
        if self.time >= LATEST {
            let members: Vec<(usize, u64)> = self.members.iter().map(|member| (member.at, member.weight)).collect();
            *self = Self::new(self.rules, &members, self.time, all);
        }
        if self.take_notes(all) == Left::Some {
            return Turn::Again;
        }
        let mut passed_over = SmallVec::<[usize; 4]>::new();
        let turn = self.search(all, &mut passed_over, unusable);
        passed_over.into_iter().for_each(|nth| self.correct(nth, all));
        turn
    }

    fn search(&mut self, all: &All<'_>, passed_over: &mut SmallVec<[usize; 4]>, unusable: impl Fn(usize) -> bool) -> Turn {
        let nth = match self.first(Class::Open, all, passed_over, unusable) {
            First::Found(nth) => nth,
            First::Nobody => return Turn::Nobody,
            First::Again => return Turn::Again,
        };
        let at = self.members[nth].at;
        match all.servers[at].admit_new() {
            Some(slot) => {
                self.advance(nth);
                self.correct(nth, all);
                Turn::Picked(at, slot)
            }
            // Another request was faster.
            None => Turn::Again,
        }
    }

    /// The first up to this class. Servers that are passed over do not count as corrections: they stay wrong for this request, so trying
    /// again would not end.
    fn first(
        &mut self,
        class: Class,
        all: &All<'_>,
        passed_over: &mut SmallVec<[usize; 4]>,
        unusable: impl Fn(usize) -> bool,
    ) -> First {
        let mut corrections = 0;
        while corrections < CORRECTIONS {
            let Some((nth, key)) = self.tournament.first().filter(|(_, key)| key.class <= class) else {
                return First::Nobody;
            };
            if unusable(self.members[nth].at) {
                passed_over.push(nth);
                // For this search alone.
                self.set_unmarked(nth, None);
                continue;
            }
            let current = self.key(nth, all);
            if current == Some(key) {
                return First::Found(nth);
            }
            self.set(nth, current, all);
            corrections += 1;
        }
        First::Again
    }

    /// Where a new session waits if all servers are full: at the one with the least demand for its weight, except for those that
    /// `unusable` names for this request alone.
    pub(in crate::upstream) fn least_demand(&mut self, all: &All<'_>, unusable: impl Fn(usize) -> bool) -> Waiting {
        if self.take_notes(all) == Left::Some {
            return Waiting::Again;
        }
        let mut passed_over = SmallVec::<[usize; 4]>::new();
        let first = self.first(Class::Full, all, &mut passed_over, unusable);
        passed_over.into_iter().for_each(|nth| self.correct(nth, all));
        match first {
            First::Found(nth) => Waiting::At(self.members[nth].at),
            First::Nobody => Waiting::Nobody,
            First::Again => Waiting::Again,
        }
    }

    /// Takes notes, and returns how many servers are good for this.
    pub(in crate::upstream) fn count(&mut self, all: &All<'_>, purpose: Purpose) -> usize {
        self.take_notes(all);
        match purpose {
            Purpose::Serve => self.keyed.open,
            Purpose::Wait => self.keyed.all,
        }
    }
}
