//! Session tables outlive the process: each that is to be kept has a folder with a snapshot and the journals since. They are
//! read before listeners accept; one thread writes for all tables.
//!
//! Nothing that goes wrong here ends the process or keeps a request waiting: a table that cannot be read begins empty, one
//! that cannot be written lives in memory until it can.

mod status;
mod writer;

mod files;
mod fsync;
mod inbox;
mod recovery;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{Header, Precedence};
use burdock::table::{Persist, Table, TableName};
use parking_lot::Mutex;

use crate::process::upgrade::table_feed::Heir;
use crate::runtime::clock::Clock;
use crate::storage::inbox::{Obeyed, Order, Shared};
use crate::storage::worker::Keeper;
pub use status::{Persistence, Status};

/// How often the thread looks what there is to do: changes are written so often at least.
const TICK: Duration = Duration::from_millis(250);
/// How long it rests between two bites of a snapshot, so that requests get their turn at locks, processors and the disk.
const BREATH: Duration = Duration::from_millis(1);
/// How long the end of the process waits for the last changes to be on disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a successor that is prepared waits for that: Pingora waits for the listening sockets for five seconds.
const RELEASE: Duration = Duration::from_secs(2);

/// All tables of the process, and what writes them down.
#[derive(Debug)]
pub struct Sessions {
    tables: ArcSwap<Tables>,
    shared: Arc<Shared>,
    /// What the names in them are fingerprinted with.
    key: Mutex<FingerprintKeyId>,
    clock: Clock,
}

type Tables = Vec<(Arc<Table>, Arc<Status>)>;

impl Sessions {
    /// Fills the tables with what is stored in `state_dir`, and says for each how that went. Listeners should not accept yet.
    pub fn open(state_dir: &Path, tables: Vec<Arc<Table>>, key: FingerprintKeyId, clock: Clock) -> Self {
        Self::with(state_dir, tables, HashSet::new(), key, clock)
    }

    /// Fills the tables with what a running process tells of them; the others as [`Self::open`] does. Nothing is written as long
    /// as that process has the folder.
    ///
    /// # Errors
    /// If it does not tell all.
    pub fn inherit(
        state_dir: &Path,
        tables: Vec<Arc<Table>>,
        key: FingerprintKeyId,
        clock: Clock,
        from: &mut impl Read,
    ) -> io::Result<Self> {
        let begun = clock.uptime();
        let received = crate::process::upgrade::table_feed::receive(from, &tables, key, clock.moment().now().wall)?;
        let took = clock.uptime().since(begun);
        let now = clock.moment().now().wall;
        for table in tables.iter().filter(|table| received.contains(&table.spec().name)) {
            let sessions = worker::live(table, now);
            log::info!("table {}: {sessions} sessions, from the running process in {took:?}", table.spec().name);
        }
        Ok(Self::with(state_dir, tables, received, key, clock))
    }

    fn with(
        state_dir: &Path,
        tables: Vec<Arc<Table>>,
        received: HashSet<TableName>,
        key: FingerprintKeyId,
        clock: Clock,
    ) -> Self {
        let tables = with_status(tables, &[]);
        let keeper = Keeper::open(state_dir, to_be_kept(&tables), received, key, &clock, clock.moment());
        let shared = Shared::new(keeper, clock);
        Self { tables: ArcSwap::from_pointee(tables), shared: Arc::new(shared), key: Mutex::new(key), clock }
    }

    /// Tells an heir all tables, and from then on what happens in them, until the process ends or [`Self::withdraw`]. Whether it
    /// has been told all within this time.
    pub fn share(&self, heir: UnixStream, patience: Duration) -> bool {
        let heir = Heir::shared(heir);
        let tables = self.tables.load();
        let fleeting = tables.iter().filter(|(table, _)| table.spec().persist == Persist::Off).cloned().collect();
        let key = *self.key.lock();
        self.shared.set_heir(Some(heir.clone()));
        let told = self.shared.tell(Order::Share { heir: heir.clone(), fleeting, key }, patience);
        let knows = told == Obeyed::Yes && heir.is_there();
        if !knows {
            self.withdraw();
        }
        knows
    }

    /// The heir has gone.
    pub fn withdraw(&self) {
        self.shared.set_heir(None);
        self.shared.tell(Order::Withdraw, PATIENCE);
    }

    /// Writes what has happened until now and lets another process have the folder; the heir goes on being told.
    pub fn release(&self) {
        if self.shared.tell(Order::Release, RELEASE) == Obeyed::NotYet {
            log::warn!("the disk is slow: a successor cannot write session tables yet");
        }
    }

    /// Takes in what a predecessor tells late, until it ends: why it did.
    pub fn follow(&self, from: &mut impl Read) -> io::Error {
        let tell = |header: &Header, octets: &[u8]| {
            let key = *self.key.lock();
            let tables = self.tables.load();
            let table = tables.iter().map(|(table, _)| table).find(|table| table.spec().name == header.table);
            if let Some(table) = table.filter(|_| header.key == key) {
                crate::process::upgrade::table_feed::apply(octets, table, Precedence::Later, self.clock.moment().now().wall);
                self.shared.set_late();
            }
            if let Some(heir) = self.shared.heir() {
                heir.hand_on(&header.encode(), octets);
            }
        };
        crate::process::upgrade::table_feed::follow(from, tell)
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
        if self.shared.tell(Order::Adopt { tables: kept, key }, PATIENCE) == Obeyed::NotYet {
            log::warn!("the disk is slow: what is stored of new session tables is read later");
        }
    }

    /// Starts the thread that writes.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn run(&self) -> io::Result<()> {
        self.shared.run()
    }

    /// Writes what has happened until now, and lets another process have the folder. For the end of this one, as the last
    /// thing, and before a successor is to go on: nothing is written afterwards. Waits five seconds at most.
    pub fn close(&self) {
        self.shared.close(PATIENCE);
    }

    /// For metrics and operators.
    pub fn tables(&self) -> Vec<(Arc<Table>, Arc<Status>)> {
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
