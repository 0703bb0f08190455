//! How far the work of writing is, and how often it is looked for more.

use std::time::Duration;

/// Changes are written so often at least.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is looked whether the disk has done what a checkpoint waits for.
pub const DISK_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The rest between two pieces of a checkpoint, so that requests get their turn at locks, processors and the disk.
pub const PAUSE: Duration = Duration::from_millis(1);

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Progress {
    Idle,
    /// When the disk has done something.
    WaitingForDisk,
    Busy,
}
