//! The files of a table: `snapshot.N` and `journal.N`, each only for their owner. Journal N has what happened since snapshot N
//! was begun, so snapshot N and the journals from N on are the table.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use burdock::table::TableName;

use crate::runtime::fault_injection;

/// Numbers the snapshots of a table, and the journals with them.
pub type FileNumber = u64;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Snapshot,
    Journal,
    /// A snapshot that was not finished.
    Unfinished,
}

/// A file that is there. Sorted as they are to be read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Stored {
    pub number: FileNumber,
    pub kind: Kind,
}

/// The directory of one table.
#[derive(Clone, Debug)]
pub struct TableDirectory(PathBuf);

/// The directory of all tables.
pub fn root(state_dir: &Path) -> PathBuf {
    state_dir.join("sessions")
}

/// Makes sure that no other process writes to the directory while the file that is given back is open. None: another has it.
pub fn hold(root: &Path) -> io::Result<Option<File>> {
    make(root)?;
    // No table's name begins with a dot.
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(root.join(".lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

impl TableDirectory {
    pub fn new(root: &Path, table: &TableName) -> Self {
        Self(root.join(table.as_str()))
    }

    pub fn path(&self, file: Stored) -> PathBuf {
        let number = file.number;
        self.0.join(match file.kind {
            Kind::Snapshot => format!("snapshot.{number}"),
            Kind::Journal => format!("journal.{number}"),
            Kind::Unfinished => format!("snapshot.{number}.new"),
        })
    }

    /// Its files, in their order; none where there is no directory. Others than ours are not seen.
    pub fn list(&self) -> io::Result<Vec<Stored>> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            files.extend(entry?.file_name().to_str().and_then(Stored::parse));
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Makes a file that must not be there yet, and the directory if need be.
    pub fn create(&self, file: Stored) -> io::Result<File> {
        make(&self.0)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(file))
    }

    /// An unfinished snapshot is finished, and on disk: it takes its name, which is on disk after [`Self::sync`].
    pub fn publish(&self, number: FileNumber) -> io::Result<()> {
        let path = |kind| self.path(Stored { number, kind });
        std::fs::rename(path(Kind::Unfinished), path(Kind::Snapshot))
    }

    /// Puts names that are new or gone on disk.
    pub fn sync(&self) -> io::Result<()> {
        fault_injection::slow_disk();
        File::open(&self.0)?.sync_all()
    }

    /// Removes what the snapshot of this number has made superfluous.
    pub fn remove_before(&self, number: FileNumber) -> io::Result<()> {
        self.remove(|file| file.number < number)
    }

    /// Removes what was written from this number on.
    pub fn remove_from(&self, number: FileNumber) -> io::Result<()> {
        self.remove(|file| file.number >= number)
    }

    /// Removes what was begun and never finished.
    pub fn remove_unfinished(&self) -> io::Result<()> {
        self.remove(|file| file.kind == Kind::Unfinished)
    }

    fn remove(&self, which: impl Fn(Stored) -> bool) -> io::Result<()> {
        self.list()?.into_iter().filter(|file| which(*file)).try_for_each(|file| std::fs::remove_file(self.path(file)))
    }
}

impl Stored {
    fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('.')?;
        let (number, kind) = match kind {
            "journal" => (rest, Kind::Journal),
            "snapshot" => rest.strip_suffix(".new").map_or((rest, Kind::Snapshot), |number| (number, Kind::Unfinished)),
            _ => return None,
        };
        let parsed = number.parse().ok()?;
        (number.bytes().all(|c| c.is_ascii_digit())).then_some(Self { number: parsed, kind })
    }
}
