//! Syncs files to disk in separate threads, so that no other thread waits for a slow disk. Written data is in the system's page
//! cache and survives the process; only after a sync does it survive the machine.

use std::fs::File;
use std::io;
use std::thread::JoinHandle;

use crate::runtime::fault_injection;
use crate::storage::files::TableDirectory;

/// A sync in progress.
#[derive(Debug)]
pub struct SyncJob(JoinHandle<io::Result<()>>);

/// Whether a sync is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnDisk {
    Yes,
    NotYet,
}

/// What to sync.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// The file's data and length.
    Data,
    /// The file's data and all metadata.
    Whole,
    /// The file's data, then the names in its directory.
    DataAndNames,
}

/// Syncs a file to disk.
///
/// # Errors
/// If the limit of threads or open files is reached.
pub fn put(file: &File, directory: &TableDirectory, what: What) -> io::Result<SyncJob> {
    let (file, directory) = (file.try_clone()?, directory.clone());
    spawn(move || {
        fault_injection::slow_disk();
        match what {
            What::Data => file.sync_data(),
            What::Whole => file.sync_all(),
            What::DataAndNames => file.sync_data().and_then(|()| directory.sync()),
        }
    })
}

/// Syncs the names in a directory to disk.
///
/// # Errors
/// If the limit of threads is reached.
pub fn put_names(directory: &TableDirectory) -> io::Result<SyncJob> {
    let directory = directory.clone();
    spawn(move || directory.sync())
}

fn spawn(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<SyncJob> {
    std::thread::Builder::new().name("disk".into()).spawn(work).map(SyncJob)
}

impl SyncJob {
    /// Waits until the sync is complete.
    ///
    /// # Errors
    /// The error of the sync.
    pub fn wait(self) -> io::Result<()> {
        self.0.join().unwrap_or_else(|_| Err(io::Error::other("the sync thread has ended unexpectedly")))
    }

    /// Checks whether the sync is complete; if so, the job is taken out.
    ///
    /// # Errors
    /// The error of the sync.
    pub fn look(pending: &mut Option<Self>) -> io::Result<OnDisk> {
        if pending.as_ref().is_some_and(|pending| !pending.0.is_finished()) {
            return Ok(OnDisk::NotYet);
        }
        pending.take().map_or(Ok(()), Self::wait).map(|()| OnDisk::Yes)
    }
}
