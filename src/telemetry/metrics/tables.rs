//! What is told of session tables, taken when somebody asks: requests count nothing here.

use burdock::table::{EvictionClass, Table};
use burdock::time::UnixSeconds;
use prometheus::IntCounter;

use super::Metrics;

/// What becomes of a table's changes, as whoever writes them down counts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StorageFigures {
    /// Whether they reach the disk now.
    pub persisted: bool,
    /// How often writing or reading has failed.
    pub errors: u64,
    /// How many came too fast to be written one by one.
    pub lost: u64,
}

impl Metrics {
    /// Takes a table's figures as they are now. Costs some 50 ns for each of its servers, and 256 locks.
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

fn signed(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Brings a counter to where the count is that is kept elsewhere. Whoever asks for metrics does so on one thread, so nobody
/// else raises it meanwhile.
fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
