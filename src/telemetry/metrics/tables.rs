//! Metrics of session tables, updated at each scrape: requests count nothing here.

use burdock::table::{EvictionClass, Table};
use burdock::time::UnixSeconds;
use prometheus::IntCounter;

use super::Metrics;

/// A table's storage counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StorageFigures {
    /// Whether changes currently reach the disk.
    pub persisted: bool,
    /// Failed reads and writes.
    pub errors: u64,
    /// Changes that came too fast for the journal.
    pub lost: u64,
}

impl Metrics {
    /// Updates a table's metrics. Costs some 50 ns per server, and 256 locks.
    pub fn take_table(&self, table: &Table, storage: StorageFigures, now: UnixSeconds) {
        let (spec, families) = (table.spec(), &self.tables);
        let labels = [spec.name.as_str()];
        let sessions: u64 = table.servers().iter().map(|(index, _)| table.count(*index, now)).sum();
        families.sessions.with_label_values(&labels).set(signed(sessions));
        families.capacity.with_label_values(&labels).set(spec.capacity.get().into());
        families.bytes.with_label_values(&labels).set(signed(table.bytes() as u64));
        families.persisted.with_label_values(&labels).set(storage.persisted.into());
        raise(&families.errors.with_label_values(&labels), storage.errors);
        raise(&families.lost.with_label_values(&labels), storage.lost);
        raise(&families.late.with_label_values(&labels), table.late_confirmations());
        for (class, evicted) in EvictionClass::ALL.into_iter().zip(table.stats().evicted) {
            raise(&families.evictions.with_label_values(&[labels[0], word(class)]), evicted);
        }
    }
}

fn word(class: EvictionClass) -> &'static str {
    match class {
        EvictionClass::OverBudget => "over_budget",
        EvictionClass::New => "new",
        EvictionClass::Established => "established",
    }
}

pub(super) fn signed(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Raises a counter to a count kept elsewhere. Scrapes run on one thread, so no other caller raises it meanwhile.
pub(super) fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
