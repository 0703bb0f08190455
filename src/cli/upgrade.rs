//! `burdock upgrade`: replaces the running process.

use std::path::PathBuf;
use std::time::Duration;

use ::http::Method;
use clap::Args;

use super::ctl::{AskError, Client, Target};
use super::outcome::Outcome;
use crate::api::process::{Upgrade, Upgraded};

/// Time for the rest of the upgrade, beyond that for the new process to become ready.
const EXTRA_TIME: Duration = Duration::from_secs(30);

/// Replaces the running process with a new one, with zero downtime
///
/// The running process starts the new one with its own arguments. If that does not become ready, the running process continues.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    #[command(flatten)]
    at: Target,
    /// The program to start [default: the running one]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Seconds until the new process must be ready
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
}

pub fn upgrade(args: &UpgradeArgs) -> Outcome {
    match args.ask() {
        Ok(Upgraded { pid }) => {
            eprintln!("burdock: process {pid} has taken over");
            Outcome::Success
        }
        Err(error) => error.report(),
    }
}

impl UpgradeArgs {
    /// Requests the upgrade and waits for its outcome.
    fn ask(&self) -> Result<Upgraded, AskError> {
        let binary = self.binary.as_ref().map(std::path::absolute).transpose()?;
        let binary = binary.map(|path| path.to_string_lossy().into_owned());
        let timeout = Duration::from_secs(self.timeout.into()) + EXTRA_TIME;
        let client = Client::new(&self.at)?.with_timeout(timeout);
        let answer = client.send(Method::POST, "/api/v1/upgrade", &Upgrade { binary, timeout: Some(self.timeout) })?;
        serde_json::from_value(answer).map_err(|error| AskError::Unexpected(error.to_string()))
    }
}
