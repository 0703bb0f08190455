//! Writes one table down: what happens goes to a journal, and now and then the whole table to a snapshot, which makes the
//! journals before it superfluous.

mod checkpoint;
mod journal;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use burdock::table::format::{Batch, Header};
use burdock::table::{Change, Entry, Persist, Table};
use burdock::time::{UnixSeconds, Uptime};

use crate::runtime::clock::Moment;

use super::status::{Persistence, Status};
use super::{BREATH, TICK};
use crate::process::upgrade::table_feed::SharedHeir;
use crate::storage::files::{Folder, Generation};
use crate::storage::worker::Pace;
use crate::storage::writer::checkpoint::Snapshot;
use journal::Journal;

/// After an error it is tried again so much later.
const RETRY: Duration = Duration::from_secs(30);
/// So many journals are reason for a snapshot, however small they are.
const MANY: usize = 8;

pub struct Writer {
    table: Arc<Table>,
    folder: Folder,
    header: Vec<u8>,
    status: Arc<Status>,
    state: State,
    due: Due,
    /// Not before this.
    next_snapshot: Uptime,
    /// Where the files begin of a try to write again that has not succeeded yet.
    retried: Option<Generation>,
    /// Octets of the last snapshot, and of the journals since.
    snapshot_octets: u64,
    journal_octets: u64,
    drained: Uptime,
    changes: Vec<Change>,
    entries: Vec<Entry>,
    batch: Batch,
    /// Who is told what happens, beside the files.
    heir: Option<SharedHeir>,
}

enum State {
    /// Not begun: another has the folder.
    Waiting,
    Writing {
        journal: Journal,
        snapshot: Option<Snapshot>,
    },
    /// It did not work.
    Resting {
        until: Uptime,
    },
}

/// Whether a snapshot is wanted whatever the journals' size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    Yes,
    No,
}

impl Writer {
    pub fn new(table: Arc<Table>, folder: Folder, header: &Header, status: Arc<Status>) -> Self {
        let (changes, entries, batch) = (Vec::new(), Vec::with_capacity(Table::PIECE), Batch::default());
        Self {
            table,
            folder,
            header: header.encode(),
            status,
            state: State::Waiting,
            due: Due::No,
            next_snapshot: Uptime::default(),
            retried: None,
            snapshot_octets: 0,
            journal_octets: 0,
            drained: Uptime::default(),
            changes,
            entries,
            batch,
            heir: None,
        }
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Begins to write. `octets` in `journals` are stored beside the snapshot.
    pub fn begin(&mut self, octets: u64, journals: usize, due: Due, moment: Moment) {
        self.journal_octets = octets;
        self.due = if journals >= MANY { Due::Yes } else { due };
        self.status.set(Persistence::On);
        if let Err(error) = self.anew(moment) {
            self.rest(&error, moment);
        }
    }

    /// Tells `heir` the whole table now, and from now on what happens.
    pub fn share(&mut self, heir: SharedHeir, now: UnixSeconds) {
        self.heir = Some(heir);
        self.tell_all(now);
    }

    /// Nobody is told any more.
    pub fn withdraw(&mut self) {
        self.heir = None;
    }

    /// A snapshot is wanted: the table has what no journal has.
    pub fn make_due(&mut self) {
        self.due = Due::Yes;
    }

    /// Ends writing as [`Self::close`] does; whoever is told goes on being told.
    pub fn release(&mut self, moment: Moment) {
        self.end(moment);
        self.state = State::Waiting;
        self.status.set(match self.status.persist() {
            Persist::On => Persistence::Waiting,
            Persist::Off => Persistence::Off,
        });
    }

    /// Lets the journal go to another file from now on.
    #[cfg(test)]
    pub fn exchange_journal(&mut self, other: std::fs::File) {
        if let State::Writing { journal, .. } = &mut self.state {
            journal.file = other;
        }
    }

    /// Does what is to be done now.
    pub fn step(&mut self, moment: Moment) -> Pace {
        self.advance(moment).unwrap_or_else(|error| {
            self.rest(&error, moment);
            Pace::Idle
        })
    }

    /// Writes what has happened until now, and puts it on disk.
    pub fn close(mut self, moment: Moment) {
        self.end(moment);
    }

    fn end(&mut self, moment: Moment) {
        let now = moment.now();
        let closed = match self.state {
            State::Writing { .. } => {
                let written = self.append(now.wall, now.uptime).and_then(|()| self.sync());
                let closed = written.and_then(|()| self.complete(moment));
                let _ = self.folder.remove_unfinished();
                closed
            }
            State::Waiting | State::Resting { .. } => self.pass_on(now.wall, now.uptime),
        };
        if let Err(error) = closed {
            self.rest(&error, moment);
        }
    }

    /// What came too fast for the journal stands in the table alone: a snapshot of all of it is written at once.
    fn complete(&mut self, moment: Moment) -> io::Result<()> {
        if self.due == Due::No {
            return Ok(());
        }
        self.begin_snapshot(moment)?;
        while matches!(self.state, State::Writing { snapshot: Some(_), .. }) {
            if self.bite(moment.now().wall)? == Pace::Waiting {
                std::thread::sleep(BREATH);
            }
        }
        Ok(())
    }

    fn advance(&mut self, moment: Moment) -> io::Result<Pace> {
        let now = moment.now();
        let tick = self.heir.is_some() || now.uptime.since(self.drained) >= TICK;
        match &self.state {
            State::Waiting => self.pass_on(now.wall, now.uptime)?,
            State::Resting { until } if *until <= now.uptime => {
                self.pass_on(now.wall, now.uptime)?;
                self.anew(moment)?;
            }
            State::Resting { .. } if tick => self.pass_on(now.wall, now.uptime)?,
            State::Writing { .. } if tick => self.append(now.wall, now.uptime)?,
            State::Resting { .. } | State::Writing { .. } => {}
        }
        self.sync_when_due(now.uptime)?;
        self.snapshot(moment)
    }

    /// Gives up for a while; the sessions live on in memory. Writing begins again with a new snapshot, since what happens
    /// until then will be in no journal.
    fn rest(&mut self, error: &io::Error, moment: Moment) {
        self.state = State::Resting { until: moment.uptime.plus(RETRY) };
        self.due = Due::Yes;
        self.next_snapshot = Uptime::default();
        self.batch.clear();
        self.status.failed();
        // What found no room must not take it from others, nor may tries pile up.
        let _ = self.folder.remove_unfinished();
        if let Some(first) = self.retried.take() {
            let _ = self.folder.remove_from(first);
        }
        if self.status.set(Persistence::Failing) != Persistence::Failing {
            let name = self.table.spec().name.clone();
            log::error!(
                "table {name}: cannot write its sessions down: {error}; they are in memory only until that works again, \
                 which is tried every {RETRY:?}"
            );
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("table", &self.table).finish_non_exhaustive()
    }
}
