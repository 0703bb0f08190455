//! A journal: a file that what happens in a table is appended to.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use burdock::time::Uptime;

use crate::storage::files::{FileNumber, Kind, Stored, TableDirectory};
use crate::storage::fsync;
use crate::storage::fsync::{OnDisk, SyncJob, What};

/// It is put on disk this long after its first byte at the latest, with half as much to spare again.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

pub struct Journal {
    file: File,
    pub number: FileNumber,
    /// Since when some of it may not be on disk.
    unsynced: Option<Uptime>,
    /// It is on its way there; what is written meanwhile goes there next.
    pending: Option<SyncJob>,
}

impl Journal {
    /// Makes the file, and writes its header.
    pub fn create(directory: &TableDirectory, number: FileNumber, header: &[u8]) -> io::Result<Self> {
        let mut file = directory.create(Stored { number, kind: Kind::Journal })?;
        file.write_all(header)?;
        Ok(Self { file, number, unsynced: None, pending: None })
    }

    pub fn append(&mut self, bytes: &[u8], uptime: Uptime) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.unsynced.get_or_insert(uptime);
        Ok(())
    }

    /// Its own file, for a job that puts it on disk after it was replaced by another.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A job is under way that this journal is not on disk without.
    pub fn wait_for(&mut self, job: SyncJob) {
        self.pending = Some(job);
    }

    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    pub fn sync_when_due(&mut self, directory: &TableDirectory, uptime: Uptime) -> io::Result<()> {
        if SyncJob::look(&mut self.pending)? == OnDisk::Yes
            && self.unsynced.take_if(|since| uptime.since(*since) >= SYNC_INTERVAL).is_some()
        {
            self.pending = Some(fsync::put(&self.file, directory, What::Data)?);
        }
        Ok(())
    }

    /// Waits until all of it is on disk.
    pub fn sync(&mut self, directory: &TableDirectory) -> io::Result<()> {
        self.pending.take().map_or(Ok(()), SyncJob::wait)?;
        match self.unsynced.take() {
            Some(_) => fsync::put(&self.file, directory, What::Data)?.wait(),
            None => Ok(()),
        }
    }

    /// Lets it go to another file from now on.
    #[cfg(test)]
    pub fn exchange(&mut self, other: File) {
        self.file = other;
    }
}
