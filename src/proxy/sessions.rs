//! Session tables outlive the process: each that is to be kept has a folder with a snapshot and the journals since. They are
//! read before listeners accept; one thread writes for all tables.
//!
//! Nothing that goes wrong here ends the process or keeps a request waiting: a table that cannot be read begins empty, one
//! that cannot be written lives in memory until it can.

mod folder;
mod heir;
mod keeper;
mod reading;
mod status;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::sticky::stored::{Header, Precedence};
use burdock::sticky::table::{FingerprintKeyId, Persist, Table, TableName};
use parking_lot::{Condvar, Mutex};

use super::clock::Clock;
use heir::{Heir, SharedHeir};
use keeper::{Keeper, Pace};
pub use status::{Persistence, Status};

/// How often the thread looks what there is to do: changes are written so often at least.
const TICK: Duration = Duration::from_millis(250);
/// How long it rests between two bites of a snapshot, so that requests get their turn at locks, processors and the disk.
const BREATH: Duration = Duration::from_millis(1);
/// How often an heir is told: a client that is sent away here is back there in no time.
const SHARED_TICK: Duration = Duration::from_millis(1);
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

#[derive(Debug)]
struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
    /// Other tables, for the thread to go on with.
    order: Mutex<Option<Order>>,
    obeyed: Condvar,
    /// Who is told what happens.
    heir: Mutex<Option<SharedHeir>>,
    /// The tables have sessions that a predecessor has told late.
    told: AtomicBool,
}

/// What the thread is to do.
#[derive(Debug)]
enum Order {
    /// Go on with the tables of a new configuration, and what their names are fingerprinted with.
    Adopt { tables: Tables, key: FingerprintKeyId },
    /// Tell an heir all tables, those among them that are not kept, and from then on what happens.
    Share { heir: SharedHeir, fleeting: Tables, key: FingerprintKeyId },
    /// Forget it.
    Withdraw,
    /// Write no more.
    Release,
}

#[derive(Debug)]
enum Phase {
    /// The thread has not been started.
    Ready(Box<Keeper>),
    Running,
    Closing,
    Closed,
}

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
        let received = heir::receive(from, &tables, key, clock.moment().now().wall)?;
        let took = clock.uptime().since(begun);
        let now = clock.moment().now().wall;
        for table in tables.iter().filter(|table| received.contains(&table.spec().name)) {
            let sessions = keeper::live(table, now);
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
        let shared = Shared {
            phase: Mutex::new(Phase::Ready(Box::new(keeper))),
            changed: Condvar::new(),
            order: Mutex::new(None),
            obeyed: Condvar::new(),
            heir: Mutex::new(None),
            told: AtomicBool::new(false),
        };
        Self { tables: ArcSwap::from_pointee(tables), shared: Arc::new(shared), key: Mutex::new(key), clock }
    }

    /// Tells an heir all tables, and from then on what happens in them, until the process ends or [`Self::withdraw`]. Whether it
    /// has been told all within this time.
    pub fn share(&self, heir: UnixStream, patience: Duration) -> bool {
        let heir = Heir::shared(heir);
        let tables = self.tables.load();
        let fleeting = tables.iter().filter(|(table, _)| table.spec().persist == Persist::Off).cloned().collect();
        let key = *self.key.lock();
        *self.shared.heir.lock() = Some(heir.clone());
        let told = self.shared.obey(Order::Share { heir: heir.clone(), fleeting, key }, patience) && heir.is_there();
        if !told {
            self.withdraw();
        }
        told
    }

    /// The heir has gone.
    pub fn withdraw(&self) {
        *self.shared.heir.lock() = None;
        self.shared.obey(Order::Withdraw, PATIENCE);
    }

    /// Writes what has happened until now and lets another process have the folder; the heir goes on being told.
    pub fn release(&self) {
        if !self.shared.obey(Order::Release, RELEASE) {
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
                heir::apply(octets, table, Precedence::Later, self.clock.moment().now().wall);
                self.shared.told.store(true, Relaxed);
            }
            if let Some(heir) = &*self.shared.heir.lock() {
                heir.blocks(&header.encode(), octets);
            }
        };
        heir::follow(from, tell)
    }

    /// Goes on with the tables of a new configuration. Those that were not there before are filled with what is stored; that
    /// is done when this returns, unless the disk takes longer than five seconds.
    pub fn adopt(&self, tables: Vec<Arc<Table>>, key: FingerprintKeyId) {
        let tables = with_status(tables, &self.tables.load());
        let kept = to_be_kept(&tables);
        *self.key.lock() = key;
        self.tables.store(Arc::new(tables));
        let mut phase = self.shared.phase.lock();
        match &mut *phase {
            Phase::Ready(keeper) => keeper.adopt(kept, key, &self.clock, self.clock.moment()),
            Phase::Running => {
                drop(phase);
                if !self.shared.obey(Order::Adopt { tables: kept, key }, PATIENCE) {
                    log::warn!("the disk is slow: what is stored of new session tables is read later");
                }
            }
            Phase::Closing | Phase::Closed => {}
        }
    }

    /// Starts the thread that writes.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn run(&self) -> io::Result<()> {
        let mut phase = self.shared.phase.lock();
        let keeper = match std::mem::replace(&mut *phase, Phase::Running) {
            Phase::Ready(keeper) => keeper,
            other @ (Phase::Running | Phase::Closing | Phase::Closed) => {
                *phase = other;
                return Ok(());
            }
        };
        let (shared, clock) = (Arc::clone(&self.shared), self.clock);
        std::thread::Builder::new().name("sessions".into()).spawn(move || shared.keep(*keeper, clock)).map(|_| ())
    }

    /// Writes what has happened until now, and lets another process have the folder. For the end of this one, as the last
    /// thing, and before a successor is to go on: nothing is written afterwards. Waits five seconds at most.
    pub fn close(&self) {
        let mut phase = self.shared.phase.lock();
        match std::mem::replace(&mut *phase, Phase::Closing) {
            Phase::Running | Phase::Closing => {
                self.shared.changed.notify_all();
                let waiting = |phase: &mut Phase| matches!(phase, Phase::Closing);
                if self.shared.changed.wait_while_for(&mut phase, waiting, PATIENCE).timed_out() {
                    log::error!("the disk is too slow: the last changes of the session tables may not be on it");
                }
            }
            Phase::Ready(keeper) => {
                keeper.close(self.clock.moment());
                *phase = Phase::Closed;
            }
            Phase::Closed => *phase = Phase::Closed,
        }
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

fn to_be_kept(tables: &Tables) -> Tables {
    tables.iter().filter(|(table, _)| table.spec().persist == Persist::On).cloned().collect()
}

impl Shared {
    /// Lets the thread do something, and waits until it has: false if that takes longer.
    fn obey(&self, order: Order, patience: Duration) -> bool {
        let mut waiting = self.order.lock();
        if self.obeyed.wait_while_for(&mut waiting, |earlier| earlier.is_some(), patience).timed_out() {
            return false;
        }
        *waiting = Some(order);
        self.changed.notify_all();
        !self.obeyed.wait_while_for(&mut waiting, |order| order.is_some(), patience).timed_out()
    }

    fn take_order(&self, keeper: &mut Keeper, clock: Clock) {
        let mut waiting = self.order.lock();
        let Some(order) = waiting.take() else { return };
        match order {
            Order::Adopt { tables, key } => keeper.adopt(tables, key, &clock, clock.moment()),
            Order::Share { heir, fleeting, key } => {
                keeper.share(&heir, fleeting, key, clock.moment());
                heir.complete();
            }
            Order::Withdraw => keeper.withdraw(clock.moment()),
            Order::Release => keeper.release(clock.moment()),
        }
        self.obeyed.notify_all();
    }

    fn pause(&self, pace: Pace) -> Duration {
        match pace {
            Pace::Busy => BREATH,
            Pace::Idle if self.heir.lock().as_ref().is_some_and(|heir| heir.is_there()) => SHARED_TICK,
            Pace::Idle => TICK,
        }
    }

    fn keep(&self, mut keeper: Keeper, clock: Clock) {
        loop {
            self.take_order(&mut keeper, clock);
            if self.told.swap(false, Relaxed) {
                keeper.make_due();
            }
            let pause = self.pause(keeper.step(clock.moment()));
            let mut phase = self.phase.lock();
            if !matches!(*phase, Phase::Closing) {
                self.changed.wait_for(&mut phase, pause);
            }
            if matches!(*phase, Phase::Closing) {
                drop(phase);
                keeper.close(clock.moment());
                *self.phase.lock() = Phase::Closed;
                self.changed.notify_all();
                return;
            }
        }
    }
}
