//! The journal: what happens in a table goes behind what has happened, and an heir hears of it.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use burdock::table::{Cursor, Lost};
use burdock::time::{UnixSeconds, Uptime};

use super::{Due, State, Writer};
use crate::runtime::clock::Moment;
use crate::storage::files::{Generation, Kind, Stored};
use crate::storage::fsync;
use crate::storage::fsync::{OnDisk, Pending, What};
use crate::storage::status::Persistence;

/// A journal is put on disk this long after its first octet at the latest, with half as much to spare again.
const SYNC: Duration = Duration::from_secs(5);
/// Changes are handed to the system when there are so many octets of them.
const CHUNK: usize = 1 << 20;

/// A file that is appended to.
pub(crate) struct Journal {
    pub(crate) file: File,
    pub(crate) generation: Generation,
    /// Since when some of it may not be on disk.
    pub(crate) unsynced: Option<Uptime>,
    /// It is on its way there; what is written meanwhile goes there next.
    pub(crate) pending: Option<Pending>,
}

impl Writer {
    /// Begins another journal, behind all files that are there.
    pub(crate) fn anew(&mut self, moment: Moment) -> io::Result<()> {
        self.folder.remove_unfinished()?;
        let last = self.folder.list()?.iter().map(|file| file.generation).max().unwrap_or(0);
        self.retried = (self.status.persistence() == Persistence::Failing).then_some(last + 1);
        let mut journal = self.journal(last + 1)?;
        journal.pending = Some(fsync::put_names(&self.folder)?);
        self.state = State::Writing { journal, snapshot: None };
        self.drained = moment.uptime;
        Ok(())
    }

    pub(crate) fn journal(&mut self, generation: Generation) -> io::Result<Journal> {
        let mut file = self.folder.create(Stored { generation, kind: Kind::Journal })?;
        file.write_all(&self.header)?;
        self.journal_octets += self.header.len() as u64;
        Ok(Journal { file, generation, unsynced: None, pending: None })
    }

    /// Writes what has happened since the last time, and tells it.
    pub(crate) fn append(&mut self, now: UnixSeconds, uptime: Uptime) -> io::Result<()> {
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

    pub(crate) fn sync_when_due(&mut self, uptime: Uptime) -> io::Result<()> {
        let State::Writing { journal, .. } = &mut self.state else { return Ok(()) };
        if Pending::look(&mut journal.pending)? == OnDisk::Yes
            && journal.unsynced.take_if(|since| uptime.since(*since) >= SYNC).is_some()
        {
            journal.pending = Some(fsync::put(&journal.file, &self.folder, What::Data)?);
        }
        Ok(())
    }

    /// Waits until all of it is on disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let State::Writing { journal, .. } = &mut self.state else { return Ok(()) };
        journal.pending.take().map_or(Ok(()), Pending::wait)?;
        match journal.unsynced.take() {
            Some(_) => fsync::put(&journal.file, &self.folder, What::Data)?.wait(),
            None => Ok(()),
        }
    }

    /// Nobody will write what has happened; an heir hears of it.
    pub(crate) fn pass_on(&mut self, now: UnixSeconds, uptime: Uptime) -> io::Result<()> {
        if self.heir.is_some() {
            return self.append(now, uptime);
        }
        self.discard();
        Ok(())
    }

    /// Tells the heir the whole table.
    pub(crate) fn tell_all(&mut self, now: UnixSeconds) {
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
}
