//! A request for an upgrade, and why it can fail.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

/// Where the new process's id goes once it serves, or the error.
pub type UpgradeAnswer = oneshot::Sender<Result<u32, UpgradeError>>;

/// A request for an upgrade.
#[derive(Debug, Default)]
pub struct UpgradeRequest {
    /// The program to start; the running one by default.
    pub binary: Option<PathBuf>,
    pub timing: UpgradeTimeout,
    pub answer: Option<UpgradeAnswer>,
}

impl UpgradeRequest {
    /// Logs why the upgrade failed and answers the request.
    pub fn refuse(self, why: UpgradeError) {
        log::error!("upgrade failed, this process continues: {why}");
        if let Some(answer) = self.answer {
            let _ = answer.send(Err(why));
        }
    }
}

/// How long the new process may take until it is ready.
#[derive(Clone, Copy, Debug)]
pub struct UpgradeTimeout(pub Duration);

impl UpgradeTimeout {
    pub fn seconds(seconds: u16) -> Self {
        Self(Duration::from_secs(seconds.into()))
    }
}

impl Default for UpgradeTimeout {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

/// Why an upgrade failed. This process continues as before.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("cannot create the handover socket: {0}")]
    Socket(io::Error),
    #[error("cannot start {}: {error}", .path.display())]
    Spawn { path: PathBuf, error: io::Error },
    #[error("the new process exited before it was ready ({0}): see its log")]
    Ended(String),
    #[error("the new process did not start: {0}")]
    Refused(String),
    #[error("the new process was not ready within {0:?}")]
    Late(Duration),
    #[error("the disk is slow: runtime changes were not saved within {0:?}")]
    Unwritten(Duration),
    #[error("cannot communicate with the new process: {0}")]
    Talk(io::Error),
    #[error("an upgrade is already in progress")]
    UnderWay,
    #[error("this is process 1, and its container ends with it: replace the container instead")]
    First,
    #[error("this process is shutting down")]
    Leaving,
    #[error("cannot send the listening sockets to the new process: {0}")]
    Sockets(io::Error),
}
