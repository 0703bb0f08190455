//! The progress of the writer, and how often it looks for work.

use std::time::Duration;

/// How often changes are written at least.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How often a checkpoint that waits for the disk checks on it.
pub const DISK_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The pause between two pieces of a checkpoint, which leaves locks, processors and the disk to requests.
pub const PAUSE: Duration = Duration::from_millis(1);

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Progress {
    Idle,
    /// There is more to do when the disk is done.
    WaitingForDisk,
    Busy,
}
