//! All session tables of the process, and the storage of the persistent ones.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::{Persist, Table, TableName};
use parking_lot::Mutex;

use crate::runtime::clock::Clock;
use crate::storage::inbox::{Ack, Order, WorkerThread};
use crate::storage::status::{Status, Tables};
use crate::storage::worker::Worker;

/// How long the process waits at its end until the last changes are on disk.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the release may delay an upgrade: the new process waits five seconds for the listening sockets.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct SessionStorage {
    tables: ArcSwap<Tables>,
    thread: Arc<WorkerThread>,
    /// The key of the fingerprints in the tables.
    key: Mutex<FingerprintKeyId>,
}

impl SessionStorage {
    /// Loads the tables from `state_dir`, and logs the result for each. Listeners should not accept yet. Tables in `filled`
    /// already have newer sessions than any file and are not read. Nothing is written while another process has the directory.
    pub fn open(
        state_dir: &Path,
        tables: Vec<Arc<Table>>,
        filled: HashSet<TableName>,
        key: FingerprintKeyId,
        clock: Clock,
    ) -> Self {
        let tables = with_status(tables, &[]);
        let worker = Worker::open(state_dir, persistent(&tables), filled, key, &clock, clock.moment());
        let thread = Arc::new(WorkerThread::new(worker, clock));
        Self { tables: ArcSwap::from_pointee(tables), thread, key: Mutex::new(key) }
    }

    /// Starts the writer thread.
    ///
    /// # Errors
    /// If the limit of threads is reached.
    pub fn run(&self) -> io::Result<()> {
        self.thread.run()
    }

    /// Writes all changes so far and releases the directory to another process.
    pub fn release(&self) {
        if self.thread.send(Order::Release, RELEASE_TIMEOUT) == Ack::Pending {
            log::warn!("the disk is slow: the new process cannot save session tables yet");
        }
    }

    /// Takes the released directory back: the other process has ended.
    pub fn take_back(&self) {
        if self.thread.send(Order::TakeBack, RELEASE_TIMEOUT) == Ack::Pending {
            log::warn!("the disk is slow: session tables are saved later");
        }
    }

    /// Switches to the tables of a new configuration. New tables are loaded from disk; this is done when the function returns,
    /// unless the disk takes longer than five seconds.
    pub fn adopt(&self, tables: Vec<Arc<Table>>, key: FingerprintKeyId) {
        let before = self.tables.load();
        let tables = with_status(tables, &before);
        let other_key = std::mem::replace(&mut *self.key.lock(), key) != key;
        if !other_key && are_the_same(&tables, &before) {
            return;
        }
        let kept = persistent(&tables);
        self.tables.store(Arc::new(tables));
        if self.thread.send(Order::Adopt { tables: kept, key }, WAIT_TIMEOUT) == Ack::Pending {
            log::warn!("the disk is slow: new session tables are loaded later");
        }
    }

    /// Writes all changes so far and releases the directory, as the last step before the process ends: nothing is written
    /// afterwards. Waits at most five seconds.
    pub fn close(&self) {
        self.thread.close(WAIT_TIMEOUT);
    }

    /// For metrics and operators.
    pub fn tables(&self) -> Tables {
        (**self.tables.load()).clone()
    }
}

/// Each table with its status. A table that is in `before` with the same persistence keeps its status.
fn with_status(tables: Vec<Arc<Table>>, before: &[(Arc<Table>, Arc<Status>)]) -> Tables {
    let status = |table: &Arc<Table>| {
        let persist = table.spec().persist;
        let known = before.iter().find(|(known, status)| Arc::ptr_eq(known, table) && status.persist() == persist);
        known.map_or_else(|| Arc::new(Status::new(persist)), |(_, status)| Arc::clone(status))
    };
    tables.into_iter().map(|table| (Arc::clone(&table), status(&table))).collect()
}

/// Whether the tables and their persistence are unchanged: a table keeps its status exactly then.
fn are_the_same(tables: &Tables, before: &Tables) -> bool {
    let same = |((table, status), (other, before)): (&(Arc<Table>, _), &(Arc<Table>, _))| {
        Arc::ptr_eq(table, other) && Arc::ptr_eq(status, before)
    };
    tables.len() == before.len() && tables.iter().zip(before).all(same)
}

fn persistent(tables: &Tables) -> Tables {
    tables.iter().filter(|(table, _)| table.spec().persist == Persist::On).cloned().collect()
}
