//! Counters of a table since it was created, for metrics.

use super::entry::EvictionClass;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    pub created: u64,
    pub moved: u64,
    /// Forgotten at the request of the application or an operator.
    pub forgotten: u64,
    /// Evicted before they expired, by class: over budget, new, established.
    pub evicted: [u64; 3],
    /// Moved within the table, so that no session had to be evicted.
    pub displaced: u64,
}

impl Stats {
    pub(crate) fn evicted(&mut self, class: EvictionClass) {
        self.evicted[class as usize] += 1;
    }

    pub(crate) fn plus(self, other: &Self) -> Self {
        let [over_budget, new, established] = self.evicted;
        let [more_over_budget, more_new, more_established] = other.evicted;
        Self {
            created: self.created + other.created,
            moved: self.moved + other.moved,
            forgotten: self.forgotten + other.forgotten,
            evicted: [over_budget + more_over_budget, new + more_new, established + more_established],
            displaced: self.displaced + other.displaced,
        }
    }
}
