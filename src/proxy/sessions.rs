//! Session tables outlive the process: each that is to be kept has a folder with a snapshot and the journals since. They are
//! read before listeners accept; one thread writes for all tables.
//!
//! Nothing that goes wrong here ends the process or keeps a request waiting: a table that cannot be read begins empty, one
//! that cannot be written lives in memory until it can.

mod folder;
mod keeper;
mod reading;
mod status;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::sticky::table::{FingerprintKeyId, Persist, Table};
use parking_lot::{Condvar, Mutex};

use super::clock::Clock;
use keeper::{Keeper, Pace};
pub use status::{Persistence, Status};

/// How often the thread looks what there is to do: changes are written so often at least.
const TICK: Duration = Duration::from_millis(250);
/// How long it rests between two bites of a snapshot, so that requests get their turn at locks, processors and the disk.
const BREATH: Duration = Duration::from_millis(1);
/// How long the end of the process waits for the last changes to be on disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// All tables of the process, and what writes them down.
#[derive(Debug)]
pub struct Sessions {
    tables: ArcSwap<Tables>,
    shared: Arc<Shared>,
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
}

/// The tables that a new configuration has, and what their names are fingerprinted with.
#[derive(Debug)]
struct Order {
    tables: Tables,
    key: FingerprintKeyId,
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
        let tables = with_status(tables, &[]);
        let keeper = Keeper::open(state_dir, to_be_kept(&tables), key, &clock, clock.moment());
        let shared = Shared {
            phase: Mutex::new(Phase::Ready(Box::new(keeper))),
            changed: Condvar::new(),
            order: Mutex::new(None),
            obeyed: Condvar::new(),
        };
        Self { tables: ArcSwap::from_pointee(tables), shared: Arc::new(shared), clock }
    }

    /// Goes on with the tables of a new configuration. Those that were not there before are filled with what is stored; that
    /// is done when this returns, unless the disk takes longer than five seconds.
    pub fn adopt(&self, tables: Vec<Arc<Table>>, key: FingerprintKeyId) {
        let tables = with_status(tables, &self.tables.load());
        let order = Order { tables: to_be_kept(&tables), key };
        self.tables.store(Arc::new(tables));
        let mut phase = self.shared.phase.lock();
        match &mut *phase {
            Phase::Ready(keeper) => keeper.adopt(order.tables, key, &self.clock, self.clock.moment()),
            Phase::Running => {
                drop(phase);
                self.shared.obey(order);
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
    /// Lets the thread take over other tables, and waits until it has.
    fn obey(&self, order: Order) {
        let mut waiting = self.order.lock();
        *waiting = Some(order);
        self.changed.notify_all();
        if self.obeyed.wait_while_for(&mut waiting, |order| order.is_some(), PATIENCE).timed_out() {
            log::warn!("the disk is slow: what is stored of new session tables is read later");
        }
    }

    fn take_order(&self, keeper: &mut Keeper, clock: Clock) {
        let mut order = self.order.lock();
        if let Some(Order { tables, key }) = order.take() {
            keeper.adopt(tables, key, &clock, clock.moment());
            self.obeyed.notify_all();
        }
    }

    fn keep(&self, mut keeper: Keeper, clock: Clock) {
        loop {
            self.take_order(&mut keeper, clock);
            let pause = match keeper.step(clock.moment()) {
                Pace::Idle => TICK,
                Pace::Busy => BREATH,
            };
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
