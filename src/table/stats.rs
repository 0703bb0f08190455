//! What has happened in a table since it was made, for metrics.

use super::entry::Class;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub created: u64,
    pub moved: u64,
    /// Because the application or the operator said so.
    pub forgotten: u64,
    /// Pushed out before their time, by class: over budget, new, established.
    pub evicted: [u64; 3],
    /// Moved to another place within the table, so that nobody had to be pushed out.
    pub displaced: u64,
}

impl Tally {
    pub(crate) fn evicted(&mut self, class: Class) {
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
