//! How a command ended, and its exit code: 0 for success, 2 for bad usage or configuration, 1 for the rest.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    Well,
    /// Something went wrong that is not the user's writing.
    Failed,
    /// The arguments or the configuration are wrong.
    Misused,
}

impl Ended {
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Well => 0,
            Self::Failed => 1,
            Self::Misused => 2,
        })
    }
}
