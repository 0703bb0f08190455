//! Loads a table from its files. Whatever they contain, the table is usable afterwards, and the report lists what was not read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use burdock::session::fingerprint_key::FingerprintKeyId;
use burdock::table::format::{FRAME, Header, Loaded, Loader, Next, NoHeader, Precedence, next};
use burdock::table::{Table, TableName};
use burdock::time::UnixSeconds;

use crate::runtime::regular_file;
use crate::storage::files::{FileNumber, Kind, Stored, TableDirectory};

/// How much is read at once.
const WINDOW: usize = 1 << 20;

/// How often to read again after another process has removed a file meanwhile.
const ATTEMPTS: usize = 3;

/// How far a table's files have been read: everything up to this position in this journal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Place {
    number: FileNumber,
    bytes: u64,
}

/// The result of reading a table's files.
#[derive(Debug, Default)]
pub struct Report {
    pub loaded: Loaded,
    pub bytes: u64,
    pub journals: usize,
    pub troubles: Vec<(PathBuf, Trouble)>,
    pub place: Place,
}

/// Why a file, or a part of it, was not read.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("sessions dropped: they were learned under another fingerprint key ({0})")]
    Key(FingerprintKeyId),
    #[error("not read: it belongs to table {0}")]
    Table(TableName),
    #[error("not read: {0}")]
    Header(#[from] NoHeader),
    #[error("the last {0} bytes are torn or corrupt and were cut off")]
    Cut(u64),
    #[error("{0} bytes in the middle are corrupt and were skipped")]
    Damaged(u64),
    #[error("not read completely: {0}")]
    Unreadable(#[from] io::Error),
}

/// Where to start reading.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// At the newest snapshot.
    Snapshot,
    /// Where the previous read ended.
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

/// The files to read, in order, each with its start offset.
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
    let offset = |file: &Stored| from.filter(|place| place.number == file.number).map_or(0, |place| place.bytes);
    files.iter().filter(wanted).map(|file| (*file, offset(file))).collect()
}

/// A read of the files in progress.
struct Reading<'r, 't> {
    header: &'r Header,
    loader: &'r mut Loader<'t>,
    report: &'r mut Report,
    now: UnixSeconds,
}

impl Reading<'_, '_> {
    /// Reads one file, and returns whether it was missing.
    fn file(&mut self, directory: &TableDirectory, file: Stored, offset: u64) -> bool {
        let path = directory.path(file);
        let opened = match regular_file::open(File::options().read(true), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            opened => opened,
        };
        let mut end = offset;
        if let Err(trouble) = opened.map_err(Trouble::from).and_then(|opened| self.blocks(opened, &path, &mut end)) {
            self.report.troubles.push((path, trouble));
        }
        self.report.bytes += end - offset;
        if file.kind == Kind::Journal {
            self.report.journals += 1;
            self.report.place = Place { number: file.number, bytes: end };
        }
        false
    }

    /// Reads the blocks from `end` on, and advances `end`.
    fn blocks(&mut self, mut file: File, path: &std::path::Path, end: &mut u64) -> Result<(), Trouble> {
        let length = file.metadata()?.len();
        if *end > 0 {
            file.seek(SeekFrom::Start(*end))?;
        }
        let mut window = Window { file, bytes: Vec::new(), at: 0 };
        if *end == 0 {
            *end += self.header(&mut window)?;
        }
        let mut needs = FRAME;
        loop {
            if !window.has(needs)? {
                break;
            }
            let bytes = match next(window.rest()) {
                Next::Block { payload, bytes } => {
                    self.loader.apply(payload, self.now);
                    bytes
                }
                Next::Damaged { bytes } => {
                    self.report.troubles.push((path.to_owned(), Trouble::Damaged(bytes as u64)));
                    bytes
                }
                Next::Needs(more) => {
                    needs = more;
                    continue;
                }
                Next::Nothing => break,
            };
            needs = FRAME;
            window.at += bytes;
            *end += bytes as u64;
        }
        if *end < length { Err(Trouble::Cut(length - *end)) } else { Ok(()) }
    }

    /// Reads the header, and returns its length.
    fn header(&self, window: &mut Window) -> Result<u64, Trouble> {
        window.has(Header::MAX_LENGTH)?;
        if window.rest().is_empty() {
            return Ok(0);
        }
        let (header, bytes) = Header::decode(window.rest())?;
        if header.table != self.header.table {
            return Err(Trouble::Table(header.table));
        }
        if header.key != self.header.key {
            return Err(Trouble::Key(header.key));
        }
        window.at += bytes;
        Ok(bytes as u64)
    }
}

/// A buffered part of a file.
struct Window {
    file: File,
    bytes: Vec<u8>,
    at: usize,
}

impl Window {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Reads ahead until the window holds this many bytes. False: the file is shorter.
    fn has(&mut self, bytes: usize) -> io::Result<bool> {
        if self.rest().len() < bytes {
            self.bytes.drain(..self.at);
            self.at = 0;
            let room = bytes.max(WINDOW) - self.bytes.len();
            (&mut self.file).take(room as u64).read_to_end(&mut self.bytes)?;
        }
        Ok(self.rest().len() >= bytes)
    }
}
