//! What the thread does: it holds the folder, or waits for it, and lets each table's writer do its work.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burdock::sticky::stored::{Header, Precedence};
use burdock::sticky::table::{FingerprintKeyId, Table};
use burdock::time::{UnixSeconds, Uptime};

use crate::proxy::clock::{Clock, Moment};

use super::folder::{self, Folder};
use super::reading::{self, From, Place, Report, Trouble};
use super::status::{Persistence, Status};
use super::writer::{Due, Writer};

/// How often it is tried to get the folder that another process has.
const ASK: Duration = Duration::from_secs(1);

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    Idle,
    Busy,
}

#[derive(Debug)]
pub struct Keeper {
    root: PathBuf,
    hold: Hold,
    tables: Vec<Kept>,
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
}

#[derive(Debug)]
struct Kept {
    writer: Writer,
    header: Header,
    /// How far its files have been read.
    place: Place,
}

impl Keeper {
    /// Reads what is stored.
    pub fn open(
        state_dir: &Path,
        tables: Vec<(Arc<Table>, Arc<Status>)>,
        key: FingerprintKeyId,
        clock: &Clock,
        moment: Moment,
    ) -> Self {
        let root = folder::root(state_dir);
        let mut keeper = Self { root, hold: Hold::Waiting { ask: moment.uptime }, tables: Vec::new() };
        keeper.adopt(tables, key, clock, moment);
        keeper
    }

    /// Goes on with these tables: reads what is stored of those that are new, and writes no more of those that are not among
    /// them.
    pub fn adopt(&mut self, tables: Vec<(Arc<Table>, Arc<Status>)>, key: FingerprintKeyId, clock: &Clock, moment: Moment) {
        let goes_on = |kept: &Kept| {
            kept.header.key == key && tables.iter().any(|(table, _)| std::ptr::eq(&**table, kept.writer.table()))
        };
        let (kept, gone): (Vec<Kept>, Vec<Kept>) = std::mem::take(&mut self.tables).into_iter().partition(goes_on);
        gone.into_iter().for_each(|gone| gone.writer.close(moment));
        let is_new = |table: &Arc<Table>| !kept.iter().any(|kept| std::ptr::eq(&**table, kept.writer.table()));
        let new: Vec<Kept> = tables
            .into_iter()
            .filter(|(table, _)| is_new(table))
            .map(|(table, status)| Kept::new(&self.root, table, status, key))
            .collect();
        self.tables = kept;
        let first = self.tables.len();
        self.tables.extend(new);
        if self.tables.len() > first {
            if matches!(self.hold, Hold::Waiting { .. }) {
                self.hold(Persistence::Off, moment);
            }
            self.tables[first..].iter_mut().for_each(|kept| kept.load(&self.hold, clock, moment));
        }
    }

    pub fn step(&mut self, moment: Moment) -> Pace {
        if let Hold::Waiting { ask } = self.hold
            && ask <= moment.uptime
            && !self.tables.is_empty()
        {
            self.hold(self.tables[0].writer.status().persistence(), moment);
            if matches!(self.hold, Hold::Held { .. }) {
                log::info!("the sessions of {} are ours to write now", self.root.display());
                self.tables.iter_mut().for_each(|kept| kept.catch_up(moment));
            }
        }
        let paces = self.tables.iter_mut().map(|kept| kept.writer.step(moment));
        paces.fold(Pace::Idle, |sum, pace| if pace == Pace::Busy { pace } else { sum })
    }

    pub fn close(self, moment: Moment) {
        self.tables.into_iter().for_each(|kept| kept.writer.close(moment));
    }

    #[cfg(test)]
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.tables[0].writer
    }

    /// Tries to become the one who writes. Says so if that is not so, unless it was so `before`.
    fn hold(&mut self, before: Persistence, moment: Moment) {
        let path = self.root.display();
        let (persistence, words) = match folder::hold(&self.root) {
            Ok(Some(lock)) => {
                self.hold = Hold::Held { _lock: lock };
                return;
            }
            Ok(None) => (Persistence::Waiting, format!("another process writes the sessions of {path}")),
            Err(error) => (Persistence::Failing, format!("cannot write the sessions in {path}: {error}")),
        };
        if persistence != before {
            log::warn!("{words}; ours are in memory only until we can");
        }
        for kept in &self.tables {
            kept.writer.status().set(persistence);
            if persistence == Persistence::Failing {
                kept.writer.status().failed();
            }
        }
        self.hold = Hold::Waiting { ask: moment.uptime.plus(ASK) };
    }
}

impl Kept {
    fn new(root: &Path, table: Arc<Table>, status: Arc<Status>, key: FingerprintKeyId) -> Self {
        let header = Header { table: table.spec().name.clone(), key };
        let folder = Folder::new(root, &header.table);
        Self { writer: Writer::new(table, folder, &header, status), header, place: Place::default() }
    }

    /// Reads the table's files, and begins to write if nobody else does.
    fn load(&mut self, hold: &Hold, clock: &Clock, moment: Moment) {
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
                self.tell(&report);
                let due = if report.troubles.is_empty() { Due::No } else { Due::Yes };
                self.writer.begin(report.octets, report.journals, due, moment);
            }
            // The end of what is being written is always torn.
            Hold::Waiting { .. } => {}
        }
    }

    /// Reads what another process has written since, and begins to write.
    fn catch_up(&mut self, moment: Moment) {
        let report = self.read(From::Place(self.place), Precedence::Later, moment.now().wall);
        self.tell(&report);
        self.writer.begin(report.octets, report.journals, Due::Yes, moment);
    }

    fn read(&self, from: From, precedence: Precedence, now: UnixSeconds) -> Report {
        let (folder, table) = (self.writer.folder(), self.writer.table());
        reading::read(folder, &self.header, table, from, precedence, now).unwrap_or_else(|error| {
            self.writer.status().failed();
            log::error!("table {}: cannot read what is stored of it: {error}", self.header.table);
            Report::default()
        })
    }

    fn tell(&self, report: &Report) {
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
