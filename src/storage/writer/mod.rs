//! Writes one table to disk: changes go to a journal, and from time to time the whole table goes to a checkpoint, which replaces
//! the journals before it.
//!
//! It subscribes to the table's feed while it writes. If writing fails or another process has the directory, it unsubscribes, so no
//! changes are recorded for it, and it later starts again with a checkpoint. It also makes a checkpoint if the feed has lost changes.

mod checkpoint;
mod journal;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use burdock::table::format::Header;
use burdock::table::{Change, Delivery, Lost, Persist, Subscription, Table};
use burdock::time::{UnixSeconds, Uptime};

use crate::runtime::clock::Moment;
use crate::storage::files::{FileNumber, TableDirectory};
use crate::storage::fsync;
use crate::storage::fsync::What;
use crate::storage::progress::{PAUSE, POLL_INTERVAL, Progress};
use crate::storage::status::{Persistence, Status};
use checkpoint::{Checkpoint, Scratch, Step};
use journal::Journal;

/// How long to wait after an error before trying again.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// This many journals cause a checkpoint, however small they are.
const MAX_JOURNALS: usize = 8;
/// Journals below this size never cause a checkpoint by size.
const MIN_JOURNAL_BYTES: u64 = 4 << 20;
/// The minimum time between the starts of two checkpoints.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// Changes are written to the file in portions of this size.
const CHUNK: usize = 1 << 20;

pub struct Writer {
    table: Arc<Table>,
    directory: TableDirectory,
    header: Vec<u8>,
    status: Arc<Status>,
    state: State,
    due: Due,
    /// The earliest start of the next checkpoint.
    next_checkpoint: Uptime,
    /// The first file of a retry that has not succeeded yet.
    retried: Option<FileNumber>,
    /// The size of the last checkpoint, and of the journals since, in bytes.
    checkpoint_bytes: u64,
    journal_bytes: u64,
    drained: Uptime,
    changes: Vec<Change>,
    scratch: Scratch,
}

enum State {
    /// Not started: another process has the directory.
    Waiting,
    Writing(Writing),
    /// Writing has failed; retry later.
    BackingOff {
        until: Uptime,
    },
}

struct Writing {
    feed: Subscription,
    journal: Journal,
    checkpoint: Option<Checkpoint>,
}

/// Whether a checkpoint is due regardless of the journals' size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    Yes,
    No,
}

impl Writer {
    pub fn new(table: Arc<Table>, directory: TableDirectory, header: &Header, status: Arc<Status>) -> Self {
        Self {
            table,
            directory,
            header: header.encode(),
            status,
            state: State::Waiting,
            due: Due::No,
            next_checkpoint: Uptime::default(),
            retried: None,
            checkpoint_bytes: 0,
            journal_bytes: 0,
            drained: Uptime::default(),
            changes: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    pub fn directory(&self) -> &TableDirectory {
        &self.directory
    }

    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Begins to write. `journals` journals with `bytes` bytes exist besides the checkpoint.
    pub fn begin(&mut self, bytes: u64, journals: usize, due: Due, moment: Moment) {
        self.journal_bytes = bytes;
        self.due = if journals >= MAX_JOURNALS { Due::Yes } else { due };
        self.status.set(Persistence::On);
        if let Err(error) = self.start(moment) {
            self.back_off(&error, moment);
        }
    }

    /// Ends writing as [`Self::close`] does, but it may begin again.
    pub fn release(&mut self, moment: Moment) {
        self.end(moment);
        self.state = State::Waiting;
        self.status.set(match self.status.persist() {
            Persist::On => Persistence::Waiting,
            Persist::Off => Persistence::Off,
        });
    }

    /// Redirects the journal to another file.
    #[cfg(test)]
    pub fn exchange_journal(&mut self, other: std::fs::File) {
        if let State::Writing(writing) = &mut self.state {
            writing.journal.exchange(other);
        }
    }

    /// Performs the work that is due.
    pub fn step(&mut self, moment: Moment) -> Progress {
        self.advance(moment).unwrap_or_else(|error| {
            self.back_off(&error, moment);
            Progress::Idle
        })
    }

    /// Writes all changes so far, and syncs them to disk.
    pub fn close(mut self, moment: Moment) {
        self.end(moment);
    }

    fn end(&mut self, moment: Moment) {
        if !matches!(self.state, State::Writing(_)) {
            return;
        }
        let closed = self.finish(moment);
        let _ = self.directory.remove_unfinished();
        if let Err(error) = closed {
            self.back_off(&error, moment);
        }
    }

    fn finish(&mut self, moment: Moment) -> io::Result<()> {
        self.append(moment)?;
        if let State::Writing(writing) = &mut self.state {
            writing.journal.sync(&self.directory)?;
        }
        self.complete(moment)
    }

    /// Changes that the feed has lost are only in the table, so a checkpoint is written at once.
    fn complete(&mut self, moment: Moment) -> io::Result<()> {
        if self.due == Due::No {
            return Ok(());
        }
        self.begin_checkpoint(moment)?;
        while matches!(&self.state, State::Writing(Writing { checkpoint: Some(_), .. })) {
            if self.step_checkpoint(moment.now().wall)? == Progress::WaitingForDisk {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    fn advance(&mut self, moment: Moment) -> io::Result<Progress> {
        let uptime = moment.uptime;
        self.table.skip(moment.skipped);
        match &self.state {
            State::BackingOff { until } if *until <= uptime => self.start(moment)?,
            State::Writing(_) if uptime.since(self.drained) >= POLL_INTERVAL => self.append(moment)?,
            State::Waiting | State::BackingOff { .. } | State::Writing(_) => {}
        }
        if let State::Writing(writing) = &mut self.state {
            writing.journal.sync_when_due(&self.directory, uptime)?;
        }
        self.checkpoint(moment)
    }

    /// Subscribes to the table, and begins a new journal after all existing files.
    fn start(&mut self, moment: Moment) -> io::Result<()> {
        let feed = Subscription::new(&self.table, Delivery::Afterwards);
        self.directory.remove_unfinished()?;
        let last = self.directory.list()?.iter().map(|file| file.number).max().unwrap_or(0);
        self.retried = (self.status.persistence() == Persistence::Failing).then_some(last + 1);
        let mut journal = Journal::create(&self.directory, last + 1, &self.header)?;
        self.journal_bytes += self.header.len() as u64;
        journal.wait_for(fsync::put_names(&self.directory)?);
        self.state = State::Writing(Writing { feed, journal, checkpoint: None });
        self.drained = moment.uptime;
        Ok(())
    }

    /// Appends the changes since the last call.
    fn append(&mut self, moment: Moment) -> io::Result<()> {
        let now = moment.now();
        self.drained = now.uptime;
        let State::Writing(Writing { feed, journal, .. }) = &mut self.state else { return Ok(()) };
        let batch = &mut self.scratch.batch;
        let round = feed.begin();
        for shard in 0..self.table.shards() {
            self.changes.clear();
            let lost = feed.drain(shard, &mut self.changes);
            if lost != Lost::default() {
                self.status.add_lost(lost);
                self.due = Due::Yes;
            }
            for change in &self.changes {
                batch.change(change, &self.table, now.wall);
            }
            let last = shard + 1 == self.table.shards();
            if batch.len() >= CHUNK || (last && !batch.is_empty()) {
                let bytes = batch.finish();
                journal.append(bytes, now.uptime)?;
                self.journal_bytes += bytes.len() as u64;
                batch.clear();
            }
        }
        feed.complete(round);
        Ok(())
    }

    fn checkpoint(&mut self, moment: Moment) -> io::Result<Progress> {
        let due = self.due == Due::Yes || self.journal_bytes > MIN_JOURNAL_BYTES.max(self.checkpoint_bytes / 2);
        match &self.state {
            State::Writing(Writing { checkpoint: Some(_), .. }) => self.step_checkpoint(moment.now().wall),
            State::Writing(Writing { journal, .. }) if due && self.next_checkpoint <= moment.uptime => {
                if journal.is_pending() {
                    return Ok(Progress::WaitingForDisk);
                }
                self.begin_checkpoint(moment)?;
                Ok(Progress::Busy)
            }
            State::Writing(_) | State::Waiting | State::BackingOff { .. } => Ok(Progress::Idle),
        }
    }

    /// Changes so far go to the old journal, later changes to a new one.
    fn begin_checkpoint(&mut self, moment: Moment) -> io::Result<()> {
        self.append(moment)?;
        let State::Writing(writing) = &mut self.state else { return Ok(()) };
        let number = writing.journal.number + 1;
        let before = self.journal_bytes;
        let mut journal = Journal::create(&self.directory, number, &self.header)?;
        self.journal_bytes += self.header.len() as u64;
        journal.wait_for(fsync::put(writing.journal.file(), &self.directory, What::DataAndNames)?);
        let checkpoint = Checkpoint::begin(&self.directory, number, &self.header, before)?;
        writing.journal = journal;
        writing.checkpoint = Some(checkpoint);
        self.next_checkpoint = moment.uptime.plus(CHECKPOINT_INTERVAL);
        self.due = Due::No;
        Ok(())
    }

    fn step_checkpoint(&mut self, now: UnixSeconds) -> io::Result<Progress> {
        let State::Writing(Writing { checkpoint: Some(checkpoint), .. }) = &mut self.state else {
            return Ok(Progress::Idle);
        };
        match checkpoint.step(&self.table, &self.directory, &mut self.scratch, now)? {
            Step::WaitingForDisk => return Ok(Progress::WaitingForDisk),
            Step::Done => {}
            Step::Named => self.retried = None,
            Step::Finished => self.end_checkpoint(),
        }
        Ok(Progress::Busy)
    }

    fn end_checkpoint(&mut self) {
        let State::Writing(writing) = &mut self.state else { return };
        let Some(checkpoint) = writing.checkpoint.take() else { return };
        self.checkpoint_bytes = checkpoint.bytes;
        self.journal_bytes -= checkpoint.journal_bytes;
        if self.status.set(Persistence::On) == Persistence::Failing {
            log::info!("table {}: its sessions are saved to disk again", self.table.spec().name);
        }
    }

    /// Stops writing for a while; the sessions stay in memory. Writing begins again with a new checkpoint, because the changes
    /// until then are in no journal.
    fn back_off(&mut self, error: &io::Error, moment: Moment) {
        self.state = State::BackingOff { until: moment.uptime.plus(RETRY_INTERVAL) };
        self.due = Due::Yes;
        self.next_checkpoint = Uptime::default();
        self.scratch.batch.clear();
        self.status.failed();
        // Incomplete files must not occupy the space that others need, nor may retries leave files behind.
        let _ = self.directory.remove_unfinished();
        if let Some(first) = self.retried.take() {
            let _ = self.directory.remove_from(first);
        }
        if self.status.set(Persistence::Failing) != Persistence::Failing {
            let name = self.table.spec().name.clone();
            log::error!(
                "table {name}: cannot save its sessions to disk: {error}; they are kept in memory only, and saving is retried \
                 every {RETRY_INTERVAL:?}"
            );
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("table", &self.table).finish_non_exhaustive()
    }
}
