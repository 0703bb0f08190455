//! What the thread does: it holds the lock on the directory, or waits for it, and lets each table's writer do its work.

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

/// How often it is tried to get the directory that another process has.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Worker {
    root: PathBuf,
    hold: Hold,
    tables: Vec<TableWriter>,
    /// Tables that had their sessions before there was this.
    filled: HashSet<TableName>,
}

#[derive(Debug)]
enum Hold {
    /// Until this file is closed nobody else writes here.
    Held {
        _lock: File,
    },
    Waiting {
        ask: Uptime,
    },
    /// Another is to have it.
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

/// Where a table's sessions come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    Files,
    /// Somebody has put them in who knows better: they are newer than what the files have.
    Filled,
}

impl Worker {
    /// Reads what is stored, but for tables that are `filled`.
    pub fn open(
        state_dir: &Path,
        tables: Tables,
        filled: HashSet<TableName>,
        key: FingerprintKeyId,
        clock: &Clock,
        moment: Moment,
    ) -> Self {
        let (root, hold) = (files::root(state_dir), Hold::Waiting { ask: moment.uptime });
        let mut worker = Self { root, hold, tables: Vec::new(), filled };
        worker.adopt(tables, key, clock, moment);
        worker
    }

    /// Goes on with these tables: reads what is stored of those that are new, and writes no more of those that are not among
    /// them.
    pub fn adopt(&mut self, tables: Tables, key: FingerprintKeyId, clock: &Clock, moment: Moment) {
        let goes_on = |writer: &TableWriter| {
            writer.header.key == key && tables.iter().any(|(table, _)| std::ptr::eq(&**table, writer.writer.table()))
        };
        let (kept, gone): (Vec<TableWriter>, Vec<TableWriter>) =
            std::mem::take(&mut self.tables).into_iter().partition(goes_on);
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
            if matches!(self.hold, Hold::Waiting { .. }) {
                self.hold(Persistence::Off, moment);
            }
            self.tables[first..].iter_mut().for_each(|table| table.load(&self.hold, clock, moment));
        }
    }

    pub fn step(&mut self, moment: Moment) -> Progress {
        if let Hold::Waiting { ask } = self.hold
            && ask <= moment.uptime
            && !self.tables.is_empty()
        {
            self.hold(self.tables[0].writer.status().persistence(), moment);
            if matches!(self.hold, Hold::Held { .. }) {
                log::info!("the sessions of {} are ours to write now", self.root.display());
                self.tables.iter_mut().for_each(|table| table.catch_up(moment));
            }
        }
        self.tables.iter_mut().map(|table| table.writer.step(moment)).fold(Progress::Idle, Progress::max)
    }

    pub fn close(self, moment: Moment) {
        self.tables.into_iter().for_each(|table| table.writer.close(moment));
    }

    /// Writes what has happened until now, and lets another have the directory.
    pub fn release(&mut self, moment: Moment) {
        self.tables.iter_mut().for_each(|table| table.writer.release(moment));
        self.hold = Hold::Released;
    }

    #[cfg(test)]
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.tables[0].writer
    }

    /// Tries to become the one who writes. Says so if that is not so, unless it was so `before`.
    fn hold(&mut self, before: Persistence, moment: Moment) {
        let path = self.root.display();
        let (persistence, words) = match files::hold(&self.root) {
            Ok(Some(lock)) => {
                self.hold = Hold::Held { _lock: lock };
                return;
            }
            Ok(None) => (Persistence::Waiting, format!("another process writes the sessions of {path}")),
            Err(error) => (Persistence::Failing, format!("cannot write the sessions in {path}: {error}")),
        };
        // A predecessor has it, and lets go of it soon.
        let expected = persistence == Persistence::Waiting && self.tables.iter().any(|table| table.origin == Origin::Filled);
        if persistence != before && !expected {
            log::warn!("{words}; ours are in memory only until we can");
        }
        for table in &self.tables {
            table.writer.status().set(persistence);
            if persistence == Persistence::Failing {
                table.writer.status().failed();
            }
        }
        self.hold = Hold::Waiting { ask: moment.uptime.plus(RETRY_INTERVAL) };
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

    /// Reads the table's files, and begins to write if nobody else does.
    fn load(&mut self, hold: &Hold, clock: &Clock, moment: Moment) {
        if self.origin == Origin::Filled {
            match hold {
                Hold::Held { .. } => self.writer.begin(0, 0, Due::Yes, moment),
                Hold::Waiting { .. } | Hold::Released => {}
            }
            return;
        }
        let begun = clock.uptime();
        let now = moment.now().wall;
        let report = self.read(From::Snapshot, Precedence::Stored, now);
        self.place = report.place;
        log::info!(
            "table {}: {} sessions, of {} octets in {:?}",
            self.header.table,
            live(self.writer.table(), now),
            report.octets,
            clock.uptime().since(begun)
        );
        match hold {
            Hold::Held { .. } => {
                self.log_report(&report);
                let due = if report.troubles.is_empty() { Due::No } else { Due::Yes };
                self.writer.begin(report.octets, report.journals, due, moment);
            }
            // The end of what is being written is always torn.
            Hold::Waiting { .. } | Hold::Released => {}
        }
    }

    /// Reads what another process has written since, and begins to write.
    fn catch_up(&mut self, moment: Moment) {
        if self.origin == Origin::Filled {
            return self.writer.begin(0, 0, Due::Yes, moment);
        }
        let report = self.read(From::Place(self.place), Precedence::Later, moment.now().wall);
        self.log_report(&report);
        self.writer.begin(report.octets, report.journals, Due::Yes, moment);
    }

    fn read(&self, from: From, precedence: Precedence, now: UnixSeconds) -> Report {
        let (directory, table) = (self.writer.directory(), self.writer.table());
        recovery::read(directory, &self.header, table, from, precedence, now).unwrap_or_else(|error| {
            self.writer.status().failed();
            log::error!("table {}: cannot read what is stored of it: {error}", self.header.table);
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
            log::warn!("table {name}: {} sessions could not be tied to a server", report.loaded.skipped);
        }
    }
}

/// Sessions that live.
pub fn live(table: &Table, now: UnixSeconds) -> u64 {
    table.servers().iter().map(|(index, _)| table.count(*index, now)).sum()
}
