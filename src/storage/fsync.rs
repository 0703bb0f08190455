//! Waits for the disk where nobody else should: what is written stands in the system's memory and so outlives the process; that it
//! outlives the machine, too, is waited for by a thread of its own, for as long as a disk may take.

use std::fs::File;
use std::io;
use std::thread::JoinHandle;

use crate::runtime::fault_injection;
use crate::storage::files::TableDirectory;

/// Something that is being put on disk.
#[derive(Debug)]
pub struct SyncJob(JoinHandle<io::Result<()>>);

/// Whether it is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnDisk {
    Yes,
    NotYet,
}

/// What of a file is to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// What is in it, and how long it is.
    Data,
    /// All that is known of it, too.
    Whole,
    /// Its data, and afterwards which names there are in its directory.
    DataAndNames,
}

/// Puts what has been written to a file on disk.
///
/// # Errors
/// If there can be no more threads or open files.
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

/// Puts the names that are new or gone in a directory on disk.
///
/// # Errors
/// If there can be no more threads.
pub fn put_names(directory: &TableDirectory) -> io::Result<SyncJob> {
    let directory = directory.clone();
    spawn(move || directory.sync())
}

fn spawn(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<SyncJob> {
    std::thread::Builder::new().name("disk".into()).spawn(work).map(SyncJob)
}

impl SyncJob {
    /// Waits until it is there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn wait(self) -> io::Result<()> {
        self.0.join().unwrap_or_else(|_| Err(io::Error::other("the thread that waited for the disk has ended")))
    }

    /// Looks whether it is there; then there is nothing left to wait for.
    ///
    /// # Errors
    /// What the disk says.
    pub fn look(pending: &mut Option<Self>) -> io::Result<OnDisk> {
        if pending.as_ref().is_some_and(|pending| !pending.0.is_finished()) {
            return Ok(OnDisk::NotYet);
        }
        pending.take().map_or(Ok(()), Self::wait).map(|()| OnDisk::Yes)
    }
}
