//! From a table's files into the table. Whatever they hold, there is a table afterwards, and it is known what was not read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{FRAME, Header, Loaded, Loader, Next, NoHeader, Precedence, next};
use burdock::table::{Table, TableName};
use burdock::time::UnixSeconds;

use crate::storage::files::{FileNumber, Kind, Stored, TableDirectory};

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// How often reading is begun again because another process has meanwhile removed what was to be read.
const ATTEMPTS: usize = 3;

/// How far a table's files have been read: all before the end of this journal's known part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Place {
    number: FileNumber,
    octets: u64,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Report {
    pub loaded: Loaded,
    pub octets: u64,
    pub journals: usize,
    pub troubles: Vec<(PathBuf, Trouble)>,
    pub place: Place,
}

/// What was not read of a file.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("its sessions are forgotten, as they were learned under another fingerprint key ({0})")]
    Key(FingerprintKeyId),
    #[error("not read: it is of the table {0}")]
    Table(TableName),
    #[error("not read: {0}")]
    Header(#[from] NoHeader),
    #[error("{0} octets at its end are torn or corrupt, and were cut")]
    Cut(u64),
    #[error("{0} octets in its middle are corrupt, and were passed over")]
    Damaged(u64),
    #[error("not read to its end: {0}")]
    Unreadable(#[from] io::Error),
}

/// Where reading begins.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// With the newest snapshot.
    Snapshot,
    /// Where it ended.
    Place(Place),
}

/// Reads a table's files into it.
///
/// # Errors
/// If the directory cannot be read at all.
pub fn read(
    directory: &TableDirectory,
    header: &Header,
    table: &Table,
    from: From,
    precedence: Precedence,
    now: UnixSeconds,
) -> io::Result<Report> {
    let mut report = Report::default();
    for _ in 0..ATTEMPTS {
        report = Report::default();
        let mut loader = Loader::new(table, precedence);
        let mut gone = false;
        for (file, offset) in plan(&directory.list()?, from) {
            let mut reading = Reading { header, loader: &mut loader, report: &mut report, now };
            gone |= reading.file(directory, file, offset);
        }
        report.loaded = loader.finish();
        if !gone {
            break;
        }
    }
    Ok(report)
}

/// What is to be read, in order, each from which octet on.
fn plan(files: &[Stored], from: From) -> Vec<(Stored, u64)> {
    let there = |place: &Place| files.contains(&Stored { number: place.number, kind: Kind::Journal });
    let newest = files.iter().rfind(|file| file.kind == Kind::Snapshot).map_or(0, |file| file.number);
    let (first, from) = match from {
        From::Place(place) if there(&place) => (place.number, Some(place)),
        From::Place(_) | From::Snapshot => (newest, None),
    };
    let wanted = |file: &&Stored| match file.kind {
        Kind::Snapshot => from.is_none() && file.number == first,
        Kind::Journal => file.number >= first,
        Kind::Unfinished => false,
    };
    let offset = |file: &Stored| from.filter(|place| place.number == file.number).map_or(0, |place| place.octets);
    files.iter().filter(wanted).map(|file| (*file, offset(file))).collect()
}

/// The files are being read.
struct Reading<'r, 't> {
    header: &'r Header,
    loader: &'r mut Loader<'t>,
    report: &'r mut Report,
    now: UnixSeconds,
}

impl Reading<'_, '_> {
    /// Reads one file, and tells whether it was gone.
    fn file(&mut self, directory: &TableDirectory, file: Stored, offset: u64) -> bool {
        let path = directory.path(file);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            opened => opened,
        };
        let mut end = offset;
        if let Err(trouble) = opened.map_err(Trouble::from).and_then(|opened| self.blocks(opened, &path, &mut end)) {
            self.report.troubles.push((path, trouble));
        }
        self.report.octets += end - offset;
        if file.kind == Kind::Journal {
            self.report.journals += 1;
            self.report.place = Place { number: file.number, octets: end };
        }
        false
    }

    /// Reads the blocks from `end` on, which goes with it.
    fn blocks(&mut self, mut file: File, path: &std::path::Path, end: &mut u64) -> Result<(), Trouble> {
        let length = file.metadata()?.len();
        if *end > 0 {
            file.seek(SeekFrom::Start(*end))?;
        }
        let mut window = Window { file, octets: Vec::new(), at: 0 };
        if *end == 0 {
            *end += self.header(&mut window)?;
        }
        let mut needs = FRAME;
        loop {
            if !window.has(needs)? {
                break;
            }
            let octets = match next(window.rest()) {
                Next::Block { payload, octets } => {
                    self.loader.apply(payload, self.now);
                    octets
                }
                Next::Damaged { octets } => {
                    self.report.troubles.push((path.to_owned(), Trouble::Damaged(octets as u64)));
                    octets
                }
                Next::Needs(more) => {
                    needs = more;
                    continue;
                }
                Next::Nothing => break,
            };
            needs = FRAME;
            window.at += octets;
            *end += octets as u64;
        }
        if *end < length { Err(Trouble::Cut(length - *end)) } else { Ok(()) }
    }

    /// Reads the header, and tells how long it is.
    fn header(&self, window: &mut Window) -> Result<u64, Trouble> {
        window.has(Header::MOST)?;
        if window.rest().is_empty() {
            return Ok(0);
        }
        let (header, octets) = Header::decode(window.rest())?;
        if header.table != self.header.table {
            return Err(Trouble::Table(header.table));
        }
        if header.key != self.header.key {
            return Err(Trouble::Key(header.key));
        }
        window.at += octets;
        Ok(octets as u64)
    }
}

/// A part of a file.
struct Window {
    file: File,
    octets: Vec<u8>,
    at: usize,
}

impl Window {
    fn rest(&self) -> &[u8] {
        &self.octets[self.at..]
    }

    /// Whether there are so many octets more; if so, they are in the window.
    fn has(&mut self, octets: usize) -> io::Result<bool> {
        if self.rest().len() < octets {
            self.octets.drain(..self.at);
            self.at = 0;
            let room = octets.max(WINDOW) - self.octets.len();
            (&mut self.file).take(room as u64).read_to_end(&mut self.octets)?;
        }
        Ok(self.rest().len() >= octets)
    }
}
