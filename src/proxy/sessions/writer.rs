//! Writes one table down: what happens goes to a journal, and now and then the whole table to a snapshot, which makes the
//! journals before it superfluous.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use burdock::sticky::stored::{Batch, Header};
use burdock::sticky::table::{Change, Cursor, Entry, Lost, Persist, Table};
use burdock::time::{UnixSeconds, Uptime};

use crate::proxy::clock::Moment;
use crate::proxy::fault;

use super::TICK;
use super::folder::{Folder, Generation, Kind, Stored};
use super::heir::SharedHeir;
use super::keeper::Pace;
use super::status::{Persistence, Status};

/// A journal is put on disk this long after its first octet at the latest, with half as much to spare again.
const SYNC: Duration = Duration::from_secs(5);
/// After an error it is tried again so much later.
const RETRY: Duration = Duration::from_secs(30);
/// Snapshots begin at least so long after each other.
const APART: Duration = Duration::from_secs(10);
/// Journals below this are no reason for a snapshot.
const SMALL: u64 = 4 << 20;
/// Nor are fewer journals than this.
const MANY: usize = 8;
/// Changes are handed to the system when there are so many octets of them.
const CHUNK: usize = 1 << 20;
/// Pieces of a snapshot that are written in one go.
const BITE: usize = 8;
/// So much of a snapshot is put on disk at a time.
const STRETCH: u64 = 16 << 20;

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

struct Journal {
    file: File,
    generation: Generation,
    /// Since when some of it may not be on disk.
    unsynced: Option<Uptime>,
}

/// A snapshot that is being written.
struct Snapshot {
    file: File,
    generation: Generation,
    cursor: Option<Cursor>,
    octets: u64,
    unsynced: u64,
    /// What the journals had when it was begun, which it makes superfluous.
    journal_octets: u64,
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
    pub fn exchange_journal(&mut self, other: File) {
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
            self.bite(moment.now().wall)?;
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

    // Journal.

    /// Begins another journal, behind all files that are there.
    fn anew(&mut self, moment: Moment) -> io::Result<()> {
        self.folder.remove_unfinished()?;
        let last = self.folder.list()?.iter().map(|file| file.generation).max().unwrap_or(0);
        self.retried = (self.status.persistence() == Persistence::Failing).then_some(last + 1);
        let journal = self.journal(last + 1)?;
        self.state = State::Writing { journal, snapshot: None };
        self.drained = moment.uptime;
        Ok(())
    }

    fn journal(&mut self, generation: Generation) -> io::Result<Journal> {
        let mut file = self.folder.create(Stored { generation, kind: Kind::Journal })?;
        file.write_all(&self.header)?;
        self.folder.sync()?;
        self.journal_octets += self.header.len() as u64;
        Ok(Journal { file, generation, unsynced: None })
    }

    /// Writes what has happened since the last time, and tells it.
    fn append(&mut self, now: UnixSeconds, uptime: Uptime) -> io::Result<()> {
        self.drained = uptime;
        let mut whole = true;
        for shard in 0..self.table.shards() {
            self.changes.clear();
            let lost = self.table.drain_changes(shard, &mut self.changes);
            if lost != Lost::default() {
                self.status.add_lost(lost);
                self.due = Due::Yes;
                whole = false;
            }
            for change in &self.changes {
                self.batch.change(change, &self.table, now);
            }
            if self.batch.len() >= CHUNK {
                self.write_changes(uptime)?;
            }
        }
        self.write_changes(uptime)?;
        self.table.tidy();
        if !whole {
            self.tell_all(now);
        }
        Ok(())
    }

    fn write_changes(&mut self, uptime: Uptime) -> io::Result<()> {
        let octets = self.batch.finish();
        if !octets.is_empty() {
            if let Some(heir) = &self.heir {
                heir.blocks(&self.header, octets);
            }
            if let State::Writing { journal, .. } = &mut self.state {
                journal.file.write_all(octets)?;
                journal.unsynced.get_or_insert(uptime);
                self.journal_octets += octets.len() as u64;
            }
        }
        self.batch.clear();
        Ok(())
    }

    fn sync_when_due(&mut self, uptime: Uptime) -> io::Result<()> {
        match &self.state {
            State::Writing { journal, .. } if journal.unsynced.is_some_and(|since| uptime.since(since) >= SYNC) => {
                self.sync()
            }
            State::Writing { .. } | State::Waiting | State::Resting { .. } => Ok(()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let State::Writing { journal, .. } = &mut self.state else { return Ok(()) };
        if journal.unsynced.take().is_some() {
            fault::slow_disk();
            journal.file.sync_data()?;
        }
        Ok(())
    }

    /// Nobody will write what has happened; an heir hears of it.
    fn pass_on(&mut self, now: UnixSeconds, uptime: Uptime) -> io::Result<()> {
        if self.heir.is_some() {
            return self.append(now, uptime);
        }
        self.discard();
        Ok(())
    }

    /// Tells the heir the whole table.
    fn tell_all(&mut self, now: UnixSeconds) {
        let Some(heir) = &self.heir else { return };
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor {
            self.entries.clear();
            cursor = self.table.export(at, now, &mut self.entries);
            self.entries.iter().for_each(|entry| self.batch.tie(entry, &self.table));
            // Of an empty table it hears, too, that it is empty.
            if self.batch.len() >= CHUNK || cursor.is_none() {
                heir.blocks(&self.header, self.batch.finish());
                self.batch.clear();
            }
        }
    }

    fn discard(&mut self) {
        for shard in 0..self.table.shards() {
            self.changes.clear();
            let _ = self.table.drain_changes(shard, &mut self.changes);
        }
        self.table.tidy();
    }

    // Snapshots.

    fn snapshot(&mut self, moment: Moment) -> io::Result<Pace> {
        let due = self.due == Due::Yes || self.journal_octets > SMALL.max(self.snapshot_octets / 2);
        match &self.state {
            State::Writing { snapshot: Some(_), .. } => self.bite(moment.now().wall),
            State::Writing { snapshot: None, .. } if due && self.next_snapshot <= moment.uptime => {
                self.begin_snapshot(moment)?;
                Ok(Pace::Busy)
            }
            State::Writing { .. } | State::Waiting | State::Resting { .. } => Ok(Pace::Idle),
        }
    }

    /// What has happened until now goes to the old journal, all else to a new one.
    fn begin_snapshot(&mut self, moment: Moment) -> io::Result<()> {
        let now = moment.now();
        self.append(now.wall, now.uptime)?;
        self.sync()?;
        let State::Writing { journal, .. } = &self.state else { return Ok(()) };
        let generation = journal.generation + 1;
        let journal_octets = self.journal_octets;
        let journal = self.journal(generation)?;
        let mut file = self.folder.create(Stored { generation, kind: Kind::Unfinished })?;
        file.write_all(&self.header)?;
        let octets = self.header.len() as u64;
        let snapshot =
            Snapshot { file, generation, cursor: Some(Cursor::default()), octets, unsynced: octets, journal_octets };
        self.state = State::Writing { journal, snapshot: Some(snapshot) };
        self.next_snapshot = now.uptime.plus(APART);
        self.due = Due::No;
        Ok(())
    }

    /// Writes the next pieces.
    fn bite(&mut self, now: UnixSeconds) -> io::Result<Pace> {
        let State::Writing { snapshot: Some(snapshot), .. } = &mut self.state else { return Ok(Pace::Idle) };
        for _ in 0..BITE {
            let Some(cursor) = snapshot.cursor else { break };
            self.entries.clear();
            snapshot.cursor = self.table.export(cursor, now, &mut self.entries);
            self.entries.iter().for_each(|entry| self.batch.tie(entry, &self.table));
        }
        let octets = self.batch.finish();
        let written = octets.len() as u64;
        snapshot.file.write_all(octets)?;
        self.batch.clear();
        snapshot.octets += written;
        snapshot.unsynced += written;
        if snapshot.cursor.is_none() {
            self.end_snapshot()?;
        } else if snapshot.unsynced >= STRETCH {
            snapshot.file.sync_data()?;
            snapshot.unsynced = 0;
        }
        Ok(Pace::Busy)
    }

    fn end_snapshot(&mut self) -> io::Result<()> {
        let State::Writing { snapshot, .. } = &mut self.state else { return Ok(()) };
        let Some(snapshot) = snapshot.take() else { return Ok(()) };
        snapshot.file.sync_all()?;
        self.folder.publish(snapshot.generation)?;
        self.folder.remove_before(snapshot.generation)?;
        self.snapshot_octets = snapshot.octets;
        self.journal_octets -= snapshot.journal_octets;
        self.retried = None;
        if self.status.set(Persistence::On) == Persistence::Failing {
            log::info!("table {}: its sessions are written down again", self.table.spec().name);
        }
        Ok(())
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
