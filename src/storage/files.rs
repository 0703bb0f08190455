//! The files of a table: checkpoints (`snapshot.N`) and journals (`journal.N`), accessible only to their owner. Journal N holds the
//! changes since snapshot N was begun, so snapshot N and the journals from N on make up the table.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use burdock::table::TableName;

use crate::runtime::fault_injection;
use crate::runtime::regular_file;

/// The number of a snapshot and of the journals that follow it.
pub type FileNumber = u64;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Snapshot,
    Journal,
    /// An unfinished snapshot.
    Unfinished,
}

/// An existing file. The order is the one in which files are read.
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

/// Locks the directory against other processes as long as the returned file is open. None: another process has the lock.
pub fn try_lock(root: &Path) -> io::Result<Option<File>> {
    make(root)?;
    // No table's name begins with a dot.
    let lock =
        regular_file::open(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600), &root.join(".lock"))?;
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

    /// Its files in order; none if there is no directory. Other files are ignored.
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

    /// Creates a file that must not exist yet, and the directory if needed.
    pub fn create(&self, file: Stored) -> io::Result<File> {
        make(&self.0)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(file))
    }

    /// Renames an unfinished snapshot that is complete and on disk. The new name is on disk after [`Self::sync`].
    pub fn publish(&self, number: FileNumber) -> io::Result<()> {
        let path = |kind| self.path(Stored { number, kind });
        std::fs::rename(path(Kind::Unfinished), path(Kind::Snapshot))
    }

    /// Syncs the directory: new and removed names are on disk afterwards.
    pub fn sync(&self) -> io::Result<()> {
        fault_injection::slow_disk();
        File::open(&self.0)?.sync_all()
    }

    /// Removes the files that the snapshot with this number replaces.
    pub fn remove_before(&self, number: FileNumber) -> io::Result<()> {
        self.remove(|file| file.number < number)
    }

    /// Removes the files from this number on.
    pub fn remove_from(&self, number: FileNumber) -> io::Result<()> {
        self.remove(|file| file.number >= number)
    }

    /// Removes unfinished snapshots.
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
