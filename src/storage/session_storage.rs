//! All session tables of the process, and what writes down those that are to be kept.

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

/// How long the end of the process waits for the last changes to be on disk.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a successor that is prepared waits for that: Pingora waits for the listening sockets for five seconds.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct SessionStorage {
    tables: ArcSwap<Tables>,
    thread: Arc<WorkerThread>,
    /// What the names in them are fingerprinted with.
    key: Mutex<FingerprintKeyId>,
}

impl SessionStorage {
    /// Fills the tables with what is stored in `state_dir`, and logs for each how that went. Listeners should not accept yet.
    /// Those that are `filled` already, with what is newer than any file, are not read; nothing is written as long as another
    /// process has the directory.
    pub fn open(
        state_dir: &Path,
        tables: Vec<Arc<Table>>,
        filled: HashSet<TableName>,
        key: FingerprintKeyId,
        clock: Clock,
    ) -> Self {
        let tables = with_status(tables, &[]);
        let worker = Worker::open(state_dir, to_be_kept(&tables), filled, key, &clock, clock.moment());
        let thread = Arc::new(WorkerThread::new(worker, clock));
        Self { tables: ArcSwap::from_pointee(tables), thread, key: Mutex::new(key) }
    }

    /// Starts the thread that writes.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn run(&self) -> io::Result<()> {
        self.thread.run()
    }

    /// Writes what has happened until now and lets another process have the directory.
    pub fn release(&self) {
        if self.thread.send(Order::Release, RELEASE_TIMEOUT) == Ack::NotYet {
            log::warn!("the disk is slow: a successor cannot write session tables yet");
        }
    }

    /// Goes on with the tables of a new configuration. Those that were not there before are filled with what is stored; that
    /// is done when this returns, unless the disk takes longer than five seconds.
    pub fn adopt(&self, tables: Vec<Arc<Table>>, key: FingerprintKeyId) {
        let before = self.tables.load();
        let tables = with_status(tables, &before);
        let other_key = std::mem::replace(&mut *self.key.lock(), key) != key;
        if !other_key && are_the_same(&tables, &before) {
            return;
        }
        let kept = to_be_kept(&tables);
        self.tables.store(Arc::new(tables));
        if self.thread.send(Order::Adopt { tables: kept, key }, WAIT_TIMEOUT) == Ack::NotYet {
            log::warn!("the disk is slow: what is stored of new session tables is read later");
        }
    }

    /// Writes what has happened until now, and lets another process have the directory. For the end of this one, as the last
    /// thing: nothing is written afterwards. Waits five seconds at most.
    pub fn close(&self) {
        self.thread.close(WAIT_TIMEOUT);
    }

    /// For metrics and operators.
    pub fn tables(&self) -> Tables {
        (**self.tables.load()).clone()
    }
}

/// Each table with its status: the one that it has in `before`, where it is the same table and kept as it was.
fn with_status(tables: Vec<Arc<Table>>, before: &[(Arc<Table>, Arc<Status>)]) -> Tables {
    let status = |table: &Arc<Table>| {
        let persist = table.spec().persist;
        let known = before.iter().find(|(known, status)| Arc::ptr_eq(known, table) && status.persist() == persist);
        known.map_or_else(|| Arc::new(Status::new(persist)), |(_, status)| Arc::clone(status))
    };
    tables.into_iter().map(|table| (Arc::clone(&table), status(&table))).collect()
}

/// A table is kept as it was where its status is the same.
fn are_the_same(tables: &Tables, before: &Tables) -> bool {
    let same = |((table, status), (other, before)): (&(Arc<Table>, _), &(Arc<Table>, _))| {
        Arc::ptr_eq(table, other) && Arc::ptr_eq(status, before)
    };
    tables.len() == before.len() && tables.iter().zip(before).all(same)
}

fn to_be_kept(tables: &Tables) -> Tables {
    tables.iter().filter(|(table, _)| table.spec().persist == Persist::On).cloned().collect()
}
