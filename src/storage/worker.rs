//! The work of the writer thread: it holds the lock on the directory or waits for it, and runs the writer of each table.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{Header, Precedence};
use burdock::table::{Table, TableName};
use burdock::time::{UnixSeconds, Uptime};

use crate::runtime::clock::{Clock, Moment};
use crate::storage::files;
use crate::storage::files::TableDirectory;
use crate::storage::progress::Progress;
use crate::storage::recovery;
use crate::storage::recovery::{From, Place, Report, Trouble};
use crate::storage::status::{Persistence, Status, Tables};
use crate::storage::writer::{Due, Writer};

/// How often to try to lock a directory that another process has.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Worker {
    root: PathBuf,
    lock: DirectoryLock,
    tables: Vec<TableWriter>,
    /// Tables that already had their sessions when the worker was created.
    filled: HashSet<TableName>,
}

#[derive(Debug)]
enum DirectoryLock {
    /// Until this file is closed, no other process writes here.
    Held {
        _lock: File,
    },
    Waiting {
        retry_at: Uptime,
    },
    /// It is left to another process.
    Released,
}

#[derive(Debug)]
struct TableWriter {
    writer: Writer,
    header: Header,
    /// How far its files have been read.
    place: Place,
    origin: Origin,
}

/// The source of a table's sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    Files,
    /// The predecessor has sent them: they are newer than the files.
    Filled,
}

impl Worker {
    /// Loads the tables from disk, except those in `filled`.
    pub fn open(
        state_dir: &Path,
        tables: Tables,
        filled: HashSet<TableName>,
        key: FingerprintKeyId,
        clock: &Clock,
        moment: Moment,
    ) -> Self {
        let (root, lock) = (files::root(state_dir), DirectoryLock::Waiting { retry_at: moment.uptime });
        let mut worker = Self { root, lock, tables: Vec::new(), filled };
        worker.adopt(tables, key, clock, moment);
        worker
    }

    /// Switches to these tables: loads the new ones from disk, and stops writing the ones that are not among them.
    pub fn adopt(&mut self, tables: Tables, key: FingerprintKeyId, clock: &Clock, moment: Moment) {
        let stays = |writer: &TableWriter| {
            writer.header.key == key && tables.iter().any(|(table, _)| std::ptr::eq(&**table, writer.writer.table()))
        };
        let (kept, gone): (Vec<TableWriter>, Vec<TableWriter>) =
            std::mem::take(&mut self.tables).into_iter().partition(stays);
        gone.into_iter().for_each(|gone| gone.writer.close(moment));
        let is_new = |table: &Arc<Table>| !kept.iter().any(|known| std::ptr::eq(&**table, known.writer.table()));
        let new: Vec<TableWriter> = tables
            .into_iter()
            .filter(|(table, _)| is_new(table))
            .map(|(table, status)| TableWriter::new(&self.root, table, status, key, &mut self.filled))
            .collect();
        self.tables = kept;
        let first = self.tables.len();
        self.tables.extend(new);
        if self.tables.len() > first {
            if matches!(self.lock, DirectoryLock::Waiting { .. }) {
                self.try_lock(Persistence::Off, moment);
            }
            self.tables[first..].iter_mut().for_each(|table| table.load(&self.lock, clock, moment));
        }
    }

    pub fn step(&mut self, moment: Moment) -> Progress {
        if let DirectoryLock::Waiting { retry_at } = self.lock
            && retry_at <= moment.uptime
            && !self.tables.is_empty()
        {
            self.try_lock(self.tables[0].writer.status().persistence(), moment);
            if matches!(self.lock, DirectoryLock::Held { .. }) {
                log::info!("acquired the lock on {}; saving session tables", self.root.display());
                self.tables.iter_mut().for_each(|table| table.catch_up(moment));
            }
        }
        self.tables.iter_mut().map(|table| table.writer.step(moment)).fold(Progress::Idle, Progress::max)
    }

    pub fn close(self, moment: Moment) {
        self.tables.into_iter().for_each(|table| table.writer.close(moment));
    }

    /// Writes all changes so far, and releases the directory to another process.
    pub fn release(&mut self, moment: Moment) {
        self.tables.iter_mut().for_each(|table| table.writer.release(moment));
        self.lock = DirectoryLock::Released;
    }

    /// Waits for the lock on the directory again: the process that it was released to has ended. What that one has changed is in the
    /// tables already, so its files are not read.
    pub fn take_back(&mut self, moment: Moment) {
        if matches!(self.lock, DirectoryLock::Released) {
            self.tables.iter_mut().for_each(|table| table.origin = Origin::Filled);
            self.lock = DirectoryLock::Waiting { retry_at: moment.uptime };
        }
    }

    #[cfg(test)]
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.tables[0].writer
    }

    /// Tries to lock the directory. Logs a failure unless its kind is the same as `before`.
    fn try_lock(&mut self, before: Persistence, moment: Moment) {
        let path = self.root.display();
        let (persistence, reason) = match files::try_lock(&self.root) {
            Ok(Some(lock)) => {
                self.lock = DirectoryLock::Held { _lock: lock };
                return;
            }
            Ok(None) => (Persistence::Waiting, format!("another process holds the lock on {path}")),
            Err(error) => (Persistence::Failing, format!("cannot save session tables in {path}: {error}")),
        };
        // The predecessor has the lock and releases it soon.
        let expected = persistence == Persistence::Waiting && self.tables.iter().any(|table| table.origin == Origin::Filled);
        if persistence != before && !expected {
            log::warn!("{reason}; session tables are kept in memory only until it is available");
        }
        for table in &self.tables {
            table.writer.status().set(persistence);
            if persistence == Persistence::Failing {
                table.writer.status().failed();
            }
        }
        self.lock = DirectoryLock::Waiting { retry_at: moment.uptime.plus(RETRY_INTERVAL) };
    }
}

impl TableWriter {
    fn new(
        root: &Path,
        table: Arc<Table>,
        status: Arc<Status>,
        key: FingerprintKeyId,
        filled: &mut HashSet<TableName>,
    ) -> Self {
        let header = Header { table: table.spec().name.clone(), key };
        let directory = TableDirectory::new(root, &header.table);
        let origin = if filled.remove(&header.table) { Origin::Filled } else { Origin::Files };
        Self { writer: Writer::new(table, directory, &header, status), header, place: Place::default(), origin }
    }

    /// Loads the table from its files, and begins to write if this process holds the lock.
    fn load(&mut self, lock: &DirectoryLock, clock: &Clock, moment: Moment) {
        if self.origin == Origin::Filled {
            match lock {
                DirectoryLock::Held { .. } => self.writer.begin(0, 0, Due::Yes, moment),
                DirectoryLock::Waiting { .. } | DirectoryLock::Released => {}
            }
            return;
        }
        let begun = clock.uptime();
        let now = moment.now().wall;
        let report = self.read(From::Snapshot, Precedence::Stored, now);
        self.place = report.place;
        log::info!(
            "table {}: loaded {} sessions from {} bytes in {:?}",
            self.header.table,
            live(self.writer.table(), now),
            report.bytes,
            clock.uptime().since(begun)
        );
        match lock {
            DirectoryLock::Held { .. } => {
                self.log_report(&report);
                let due = if report.troubles.is_empty() { Due::No } else { Due::Yes };
                self.writer.begin(report.bytes, report.journals, due, moment);
            }
            // The end of a file that is being written is always torn.
            DirectoryLock::Waiting { .. } | DirectoryLock::Released => {}
        }
    }

    /// Reads what another process has written meanwhile, and begins to write.
    fn catch_up(&mut self, moment: Moment) {
        if self.origin == Origin::Filled {
            return self.writer.begin(0, 0, Due::Yes, moment);
        }
        let report = self.read(From::Place(self.place), Precedence::Later, moment.now().wall);
        self.log_report(&report);
        self.writer.begin(report.bytes, report.journals, Due::Yes, moment);
    }

    fn read(&self, from: From, precedence: Precedence, now: UnixSeconds) -> Report {
        let (directory, table) = (self.writer.directory(), self.writer.table());
        recovery::read(directory, &self.header, table, from, precedence, now).unwrap_or_else(|error| {
            self.writer.status().failed();
            log::error!("table {}: cannot read its files: {error}", self.header.table);
            Report::default()
        })
    }

    fn log_report(&self, report: &Report) {
        let name = &self.header.table;
        for (path, trouble) in &report.troubles {
            match trouble {
                Trouble::Key(_) | Trouble::Table(_) | Trouble::Header(_) | Trouble::Cut(_) | Trouble::Damaged(_) => {}
                Trouble::Unreadable(_) => self.writer.status().failed(),
            }
            log::warn!("table {name}: {}: {trouble}", path.display());
        }
        if report.loaded.skipped > 0 {
            log::warn!("table {name}: skipped {} sessions without a usable server", report.loaded.skipped);
        }
    }
}

/// The number of live sessions.
pub fn live(table: &Table, now: UnixSeconds) -> u64 {
    table.servers().iter().map(|(index, _)| table.count(*index, now)).sum()
}
