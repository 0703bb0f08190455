//! The snapshot: now and then the whole table, piece by piece, which makes the journals before it superfluous.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use burdock::table::Cursor;
use burdock::time::UnixSeconds;

use super::{Due, State, Writer};
use crate::runtime::clock::Moment;
use crate::storage::files::{Generation, Kind, Stored};
use crate::storage::fsync;
use crate::storage::fsync::{OnDisk, Pending, What};
use crate::storage::status::Persistence;
use crate::storage::worker::Pace;

/// Snapshots begin at least so long after each other.
const APART: Duration = Duration::from_secs(10);
/// Journals below this are no reason for a snapshot.
const SMALL: u64 = 4 << 20;
/// Pieces of a snapshot that are written in one go.
const BITE: usize = 8;
/// So much of a snapshot is put on disk at a time.
const STRETCH: u64 = 16 << 20;

/// A snapshot that is being written.
pub(crate) struct Snapshot {
    file: File,
    generation: Generation,
    stage: Stage,
    /// What was written last is on its way to the disk; there is nothing to do before it is there.
    pending: Option<Pending>,
    octets: u64,
    unsynced: u64,
    /// What the journals had when it was begun, which it makes superfluous.
    journal_octets: u64,
}

/// How far it is.
enum Stage {
    /// From here on the table is to be written.
    Pieces(Cursor),
    /// All of it is written.
    Written,
    /// It is on disk, and has taken its name.
    Named,
}

impl Writer {
    pub(crate) fn snapshot(&mut self, moment: Moment) -> io::Result<Pace> {
        let due = self.due == Due::Yes || self.journal_octets > SMALL.max(self.snapshot_octets / 2);
        match &self.state {
            State::Writing { snapshot: Some(_), .. } => self.bite(moment.now().wall),
            State::Writing { snapshot: None, journal } if due && self.next_snapshot <= moment.uptime => {
                if journal.pending.is_some() {
                    return Ok(Pace::Waiting);
                }
                self.begin_snapshot(moment)?;
                Ok(Pace::Busy)
            }
            State::Writing { .. } | State::Waiting | State::Resting { .. } => Ok(Pace::Idle),
        }
    }

    /// What has happened until now goes to the old journal, all else to a new one.
    pub(crate) fn begin_snapshot(&mut self, moment: Moment) -> io::Result<()> {
        let now = moment.now();
        self.append(now.wall, now.uptime)?;
        let State::Writing { journal, .. } = &mut self.state else { return Ok(()) };
        let (generation, journal_octets) = (journal.generation + 1, self.journal_octets);
        let before = journal.file.try_clone()?;
        let mut journal = self.journal(generation)?;
        journal.pending = Some(fsync::put(&before, &self.folder, What::DataAndNames)?);
        let mut file = self.folder.create(Stored { generation, kind: Kind::Unfinished })?;
        file.write_all(&self.header)?;
        let octets = self.header.len() as u64;
        let stage = Stage::Pieces(Cursor::default());
        let snapshot = Snapshot { file, generation, stage, pending: None, octets, unsynced: octets, journal_octets };
        self.state = State::Writing { journal, snapshot: Some(snapshot) };
        self.next_snapshot = now.uptime.plus(APART);
        self.due = Due::No;
        Ok(())
    }

    /// Does what is next.
    pub(crate) fn bite(&mut self, now: UnixSeconds) -> io::Result<Pace> {
        let State::Writing { snapshot: Some(snapshot), .. } = &mut self.state else { return Ok(Pace::Idle) };
        if Pending::look(&mut snapshot.pending)? == OnDisk::NotYet {
            return Ok(Pace::Waiting);
        }
        match snapshot.stage {
            Stage::Pieces(cursor) => self.write_pieces(cursor, now)?,
            Stage::Written => {
                self.folder.publish(snapshot.generation)?;
                // From here on nothing that was written before is needed.
                self.retried = None;
                snapshot.pending = Some(fsync::put_names(&self.folder)?);
                snapshot.stage = Stage::Named;
            }
            Stage::Named => self.end_snapshot()?,
        }
        Ok(Pace::Busy)
    }

    fn write_pieces(&mut self, from: Cursor, now: UnixSeconds) -> io::Result<()> {
        let State::Writing { snapshot: Some(snapshot), .. } = &mut self.state else { return Ok(()) };
        let mut next = Some(from);
        for _ in 0..BITE {
            let Some(cursor) = next else { break };
            self.entries.clear();
            next = self.table.export(cursor, now, &mut self.entries);
            self.entries.iter().for_each(|entry| self.batch.tie(entry, &self.table));
        }
        let octets = self.batch.finish();
        let written = octets.len() as u64;
        snapshot.file.write_all(octets)?;
        self.batch.clear();
        snapshot.octets += written;
        snapshot.unsynced += written;
        snapshot.stage = next.map_or(Stage::Written, Stage::Pieces);
        let due = match next {
            Some(_) if snapshot.unsynced < STRETCH => return Ok(()),
            Some(_) => What::Data,
            None => What::Whole,
        };
        snapshot.pending = Some(fsync::put(&snapshot.file, &self.folder, due)?);
        snapshot.unsynced = 0;
        Ok(())
    }

    fn end_snapshot(&mut self) -> io::Result<()> {
        let State::Writing { snapshot, .. } = &mut self.state else { return Ok(()) };
        let Some(snapshot) = snapshot.take() else { return Ok(()) };
        self.folder.remove_before(snapshot.generation)?;
        self.snapshot_octets = snapshot.octets;
        self.journal_octets -= snapshot.journal_octets;
        if self.status.set(Persistence::On) == Persistence::Failing {
            log::info!("table {}: its sessions are written down again", self.table.spec().name);
        }
        Ok(())
    }
}
