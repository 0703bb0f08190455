//! Whether a table reaches the disk, for metrics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use burdock::table::{Lost, Persist, Table};
use parking_lot::Mutex;

/// What becomes of a table's changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Persistence {
    /// Not wanted.
    Off,
    /// They are written.
    On,
    /// Another process has the folder: they stay in memory until it ends.
    Waiting,
    /// They could not be written: they stay in memory until that works again.
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

    /// Whether its changes are to be written.
    pub(crate) fn persist(&self) -> Persist {
        self.persist
    }

    pub fn persistence(&self) -> Persistence {
        *self.persistence.lock()
    }

    /// How often writing or reading has failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// Changes that came too fast to be written one by one; the next checkpoint has what they did.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Tells what it was before.
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
