//! What is asked when a successor is wanted, and why there may be none.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

/// Where the successor's process id goes once it serves, or why there is none.
pub type UpgradeAnswer = oneshot::Sender<Result<u32, UpgradeError>>;

/// Somebody wants a successor.
#[derive(Debug, Default)]
pub struct UpgradeRequest {
    /// Another program than the present one.
    pub binary: Option<PathBuf>,
    pub timing: UpgradeTimeout,
    pub answer: Option<UpgradeAnswer>,
}

impl UpgradeRequest {
    /// There will be none.
    pub fn refuse(self, why: UpgradeError) {
        log::error!("no successor, so this process goes on: {why}");
        if let Some(answer) = self.answer {
            let _ = answer.send(Err(why));
        }
    }
}

/// How long a successor may take to be prepared.
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

/// Why there is no successor. This process goes on as before.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("cannot make the socket of the handover: {0}")]
    Socket(io::Error),
    #[error("cannot start {}: {error}", .path.display())]
    Spawn { path: PathBuf, error: io::Error },
    #[error("the new process has ended before it was prepared ({0}); its messages say why")]
    Ended(String),
    #[error("the new process does not start: {0}")]
    Refused(String),
    #[error("the new process was not prepared within {0:?}")]
    Late(Duration),
    #[error("the disk is slow: what was changed at run time was not on it within {0:?}")]
    Unwritten(Duration),
    #[error("cannot talk to the new process: {0}")]
    Talk(io::Error),
    #[error("an upgrade is under way already")]
    UnderWay,
    #[error(
        "this is process 1, with which its container ends, and every other process in it: replace the container instead"
    )]
    First,
    #[error("this process is leaving")]
    Leaving,
    #[error("the new process was given the sockets and has ended; whoever supervises it must start it again")]
    Lost,
}
