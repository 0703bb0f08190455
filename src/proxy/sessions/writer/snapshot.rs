//! The snapshot: now and then the whole table, piece by piece, which makes the journals before it superfluous.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use burdock::sticky::table::Cursor;
use burdock::time::UnixSeconds;

use super::{Due, State, Writer};
use crate::proxy::clock::Moment;
use crate::proxy::sessions::folder::{Generation, Kind, Stored};
use crate::proxy::sessions::keeper::Pace;
use crate::proxy::sessions::status::Persistence;

/// Snapshots begin at least so long after each other.
const APART: Duration = Duration::from_secs(10);
/// Journals below this are no reason for a snapshot.
const SMALL: u64 = 4 << 20;
/// Pieces of a snapshot that are written in one go.
const BITE: usize = 8;
/// So much of a snapshot is put on disk at a time.
const STRETCH: u64 = 16 << 20;

/// A snapshot that is being written.
pub(super) struct Snapshot {
    file: File,
    generation: Generation,
    cursor: Option<Cursor>,
    octets: u64,
    unsynced: u64,
    /// What the journals had when it was begun, which it makes superfluous.
    journal_octets: u64,
}

impl Writer {
    pub(super) fn snapshot(&mut self, moment: Moment) -> io::Result<Pace> {
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
    pub(super) fn begin_snapshot(&mut self, moment: Moment) -> io::Result<()> {
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
    pub(super) fn bite(&mut self, now: UnixSeconds) -> io::Result<Pace> {
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
}
