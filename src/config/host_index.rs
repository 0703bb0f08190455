//! Finds which of many sets of hosts a set may meet, without comparing it with each. It knows hosts, not cookies or upstreams.

use std::collections::{BTreeSet, HashMap};

use crate::route::HostPattern;

/// Sets of host patterns, by number.
#[derive(Default)]
pub(super) struct HostIndex {
    /// By the name in the pattern.
    exact: Numbers,
    under: Numbers,
    /// Patterns of any kind below a name.
    below: Numbers,
    /// Sets that meet every other: those of any host.
    any: Vec<usize>,
    all: Vec<usize>,
}

type Numbers = HashMap<Box<str>, BTreeSet<usize>>;

impl HostIndex {
    /// Adds a set. An empty one stands for any host.
    pub(super) fn add(&mut self, number: usize, hosts: BTreeSet<HostPattern>) {
        self.all.push(number);
        if hosts.is_empty() {
            self.any.push(number);
        }
        for host in hosts {
            let (HostPattern::Exact(name) | HostPattern::Under(name)) = &host;
            for parent in parents(name) {
                self.below.entry(parent.into()).or_default().insert(number);
            }
            match host {
                HostPattern::Exact(name) => self.exact.entry(name),
                HostPattern::Under(name) => self.under.entry(name),
            }
            .or_default()
            .insert(number);
        }
    }

    /// The sets with a pattern that overlaps one of these, as [`HostPattern::overlaps`] says.
    pub(super) fn meeting(&self, hosts: &BTreeSet<HostPattern>) -> BTreeSet<usize> {
        if hosts.is_empty() {
            return self.all.iter().copied().collect();
        }
        let mut met: BTreeSet<usize> = self.any.iter().copied().collect();
        for host in hosts {
            let (HostPattern::Exact(name) | HostPattern::Under(name)) = host;
            parents(name).for_each(|parent| met.extend(of(&self.under, parent)));
            match host {
                HostPattern::Exact(name) => met.extend(of(&self.exact, name)),
                HostPattern::Under(name) => met.extend(of(&self.under, name).chain(of(&self.below, name))),
            }
        }
        met
    }
}

fn of<'n>(numbers: &'n Numbers, name: &str) -> impl Iterator<Item = usize> + use<'n> {
    numbers.get(name).into_iter().flatten().copied()
}

/// `b.c` and `c` for `a.b.c`.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_hosts() -> impl Strategy<Value = BTreeSet<HostPattern>> {
        prop::collection::btree_set(r"(\*\.)?([ab]\.){0,3}[ab]".prop_map(|text| HostPattern::parse(&text).unwrap()), 0..4)
    }

    proptest! {
        #[test]
        fn an_index_finds_the_sets_that_overlap(sets in prop::collection::vec(any_hosts(), 0..12), hosts in any_hosts()) {
            let mut index = HostIndex::default();
            sets.iter().enumerate().for_each(|(number, set)| index.add(number, set.clone()));
            let meets = |set: &BTreeSet<HostPattern>| {
                set.is_empty() || hosts.is_empty() || set.iter().any(|one| hosts.iter().any(|other| one.overlaps(other)))
            };
            let expected = sets.iter().enumerate().filter(|(_, set)| meets(set)).map(|(number, _)| number).collect();
            prop_assert_eq!(index.meeting(&hosts), expected);
        }
    }
}
