//! The outcome of a command and its exit code: 0 for success, 2 for bad usage or configuration, 1 for other failures.

use std::process::ExitCode;

/// The outcome of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Success,
    /// The command failed, with valid arguments and configuration.
    Failure,
    /// The arguments or the configuration are invalid.
    UsageError,
}

impl Outcome {
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::UsageError => 2,
        })
    }
}
