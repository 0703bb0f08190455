//! What the thread does: it holds the folder, or waits for it, and lets each table's writer do its work.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{Header, Precedence};
use burdock::table::{Persist, Table, TableName, TableSpec};
use burdock::time::{UnixSeconds, Uptime};

use crate::runtime::clock::{Clock, Moment};

use super::Tables;
use super::status::{Persistence, Status};
use super::writer::{Due, Writer};
use crate::process::upgrade::table_feed::SharedHeir;
use crate::storage::files::Folder;
use crate::storage::recovery::{From, Place, Report, Trouble};
use crate::storage::{files, recovery};

/// How often it is tried to get the folder that another process has.
const ASK: Duration = Duration::from_secs(1);

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Pace {
    Idle,
    /// When the disk has done something.
    Waiting,
    Busy,
}

#[derive(Debug)]
pub struct Keeper {
    root: PathBuf,
    hold: Hold,
    tables: Vec<Kept>,
    /// Tables that an heir is told of and that are not written.
    told: Vec<Writer>,
    /// What a predecessor has told us already.
    received: HashSet<TableName>,
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
struct Kept {
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
    /// Another process has told them: newer than what the files have.
    Received,
}

impl Keeper {
    /// Reads what is stored, but for tables that have been `received`.
    pub fn open(
        state_dir: &Path,
        tables: Vec<(Arc<Table>, Arc<Status>)>,
        received: HashSet<TableName>,
        key: FingerprintKeyId,
        clock: &Clock,
        moment: Moment,
    ) -> Self {
        let (root, hold) = (files::root(state_dir), Hold::Waiting { ask: moment.uptime });
        let mut keeper = Self { root, hold, tables: Vec::new(), told: Vec::new(), received };
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
            .map(|(table, status)| Kept::new(&self.root, table, status, key, &mut self.received))
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
        let writers = self.tables.iter_mut().map(|kept| &mut kept.writer).chain(&mut self.told);
        writers.map(|writer| writer.step(moment)).fold(Pace::Idle, Pace::max)
    }

    pub fn close(self, moment: Moment) {
        let writers = self.tables.into_iter().map(|kept| kept.writer).chain(self.told);
        writers.for_each(|writer| writer.close(moment));
    }

    /// Tells `heir` all tables now, those that are not kept (`fleeting`) too, and from now on what happens.
    pub fn share(&mut self, heir: &SharedHeir, fleeting: Tables, key: FingerprintKeyId, moment: Moment) {
        let now = moment.now().wall;
        let (root, received) = (&self.root, &mut self.received);
        let told = fleeting.into_iter().map(|(table, status)| {
            record(&table, Persist::On, now);
            Kept::new(root, table, status, key, received).writer
        });
        self.told = told.collect();
        let writers = self.tables.iter_mut().map(|kept| &mut kept.writer).chain(&mut self.told);
        writers.for_each(|writer| writer.share(heir.clone(), now));
    }

    /// The heir has gone.
    pub fn withdraw(&mut self, moment: Moment) {
        self.told.drain(..).for_each(|writer| record(writer.table(), Persist::Off, moment.now().wall));
        self.tables.iter_mut().for_each(|kept| kept.writer.withdraw());
    }

    /// Writes what has happened until now, and lets another have the folder.
    pub fn release(&mut self, moment: Moment) {
        self.tables.iter_mut().for_each(|kept| kept.writer.release(moment));
        self.hold = Hold::Released;
    }

    /// The tables have what no journal has.
    pub fn make_due(&mut self) {
        self.tables.iter_mut().for_each(|kept| kept.writer.make_due());
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
        let expected = persistence == Persistence::Waiting && self.tables.iter().any(|kept| kept.origin == Origin::Received);
        if persistence != before && !expected {
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
    fn new(
        root: &Path,
        table: Arc<Table>,
        status: Arc<Status>,
        key: FingerprintKeyId,
        received: &mut HashSet<TableName>,
    ) -> Self {
        let header = Header { table: table.spec().name.clone(), key };
        let folder = Folder::new(root, &header.table);
        let origin = if received.remove(&header.table) { Origin::Received } else { Origin::Files };
        Self { writer: Writer::new(table, folder, &header, status), header, place: Place::default(), origin }
    }

    /// Reads the table's files, and begins to write if nobody else does.
    fn load(&mut self, hold: &Hold, clock: &Clock, moment: Moment) {
        if self.origin == Origin::Received {
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
                self.tell(&report);
                let due = if report.troubles.is_empty() { Due::No } else { Due::Yes };
                self.writer.begin(report.octets, report.journals, due, moment);
            }
            // The end of what is being written is always torn.
            Hold::Waiting { .. } | Hold::Released => {}
        }
    }

    /// Reads what another process has written since, and begins to write.
    fn catch_up(&mut self, moment: Moment) {
        if self.origin == Origin::Received {
            return self.writer.begin(0, 0, Due::Yes, moment);
        }
        let report = self.read(From::Place(self.place), Precedence::Later, moment.now().wall);
        self.tell(&report);
        self.writer.begin(report.octets, report.journals, Due::Yes, moment);
    }

    fn read(&self, from: From, precedence: Precedence, now: UnixSeconds) -> Report {
        let (folder, table) = (self.writer.folder(), self.writer.table());
        recovery::read(folder, &self.header, table, from, precedence, now).unwrap_or_else(|error| {
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

/// Lets a table record what happens in it, or no more.
fn record(table: &Table, persist: Persist, now: UnixSeconds) {
    let spec = table.spec();
    table.succeed(TableSpec { persist, ..(*spec).clone() }, now);
}

/// Sessions that live.
pub fn live(table: &Table, now: UnixSeconds) -> u64 {
    table.servers().iter().map(|(index, _)| table.count(*index, now)).sum()
}
