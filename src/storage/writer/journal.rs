//! A journal: a file to which a table's changes are appended.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use burdock::time::Uptime;

use crate::storage::files::{FileNumber, Kind, Stored, TableDirectory};
use crate::storage::fsync;
use crate::storage::fsync::{OnDisk, SyncJob, What};

/// It is synced to disk at the latest this long after its first unsynced byte, plus half of it as a margin.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

pub struct Journal {
    file: File,
    pub number: FileNumber,
    /// The time since which some of it may not be on disk.
    unsynced: Option<Uptime>,
    /// The sync in progress. What is written meanwhile is synced next.
    pending: Option<SyncJob>,
}

impl Journal {
    /// Creates the file and writes its header.
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

    /// Its file, for a sync job that continues after the journal is replaced.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Sets a sync job that must complete before this journal counts as on disk.
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

    /// Waits until the whole journal is on disk.
    pub fn sync(&mut self, directory: &TableDirectory) -> io::Result<()> {
        self.pending.take().map_or(Ok(()), SyncJob::wait)?;
        match self.unsynced.take() {
            Some(_) => fsync::put(&self.file, directory, What::Data)?.wait(),
            None => Ok(()),
        }
    }

    /// Redirects the journal to another file.
    #[cfg(test)]
    pub fn exchange(&mut self, other: File) {
        self.file = other;
    }
}
