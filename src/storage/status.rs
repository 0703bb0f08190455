//! The persistence status of a table, for metrics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use burdock::table::{Lost, Persist, Table};
use parking_lot::Mutex;

/// Whether a table's changes are written to disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Persistence {
    /// Not configured.
    Off,
    /// Changes are written.
    On,
    /// Another process has the directory: changes stay in memory until it ends.
    Waiting,
    /// Writing has failed: changes stay in memory until it works again.
    Failing,
}

/// Tables, each with its status.
pub type Tables = Vec<(Arc<Table>, Arc<Status>)>;

#[derive(Debug)]
pub struct Status {
    persist: Persist,
    persistence: Mutex<Persistence>,
    errors: AtomicU64,
    lost: AtomicU64,
}

impl Status {
    pub(crate) fn new(persist: Persist) -> Self {
        let persistence = match persist {
            Persist::On => Persistence::Waiting,
            Persist::Off => Persistence::Off,
        };
        Self { persist, persistence: Mutex::new(persistence), errors: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Whether its changes should be written.
    pub(crate) fn persist(&self) -> Persist {
        self.persist
    }

    pub fn persistence(&self) -> Persistence {
        *self.persistence.lock()
    }

    /// The number of failed reads and writes.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Changes that the feed dropped because it was full; the next checkpoint includes their effect.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Returns the previous value.
    pub(crate) fn set(&self, persistence: Persistence) -> Persistence {
        std::mem::replace(&mut *self.persistence.lock(), persistence)
    }

    pub(crate) fn failed(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_lost(&self, lost: Lost) {
        self.lost.fetch_add(lost.refreshed + lost.others, Relaxed);
    }
}
