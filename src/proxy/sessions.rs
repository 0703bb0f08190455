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
    tables: Vec<(Arc<Table>, Arc<Status>)>,
    shared: Arc<Shared>,
    clock: Clock,
}

#[derive(Debug)]
struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
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
        let tables: Vec<_> = tables
            .into_iter()
            .map(|table| {
                let status = Arc::new(Status::new(table.spec().persist));
                (table, status)
            })
            .collect();
        let kept = tables.iter().filter(|(table, _)| table.spec().persist == Persist::On).cloned().collect();
        let keeper = Keeper::open(state_dir, kept, key, &clock, clock.moment());
        let phase = Mutex::new(Phase::Ready(Box::new(keeper)));
        Self { tables, shared: Arc::new(Shared { phase, changed: Condvar::new() }), clock }
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
    pub fn tables(&self) -> impl Iterator<Item = (&Table, &Status)> {
        self.tables.iter().map(|(table, status)| (&**table, &**status))
    }
}

impl Shared {
    fn keep(&self, mut keeper: Keeper, clock: Clock) {
        loop {
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
