//! `burdock upgrade`.

use std::path::PathBuf;
use std::time::Duration;

use ::http::Method;
use clap::Args;

use super::ctl::{AskError, Client, Where};
use super::ended::Ended;
use crate::api::process::{Upgrade, Upgraded};

/// Beyond the time that the new process has, for all the rest.
const MORE: Duration = Duration::from_secs(30);

/// Lets a new process take over from the running one, without losing a request
///
/// The running process starts it, with its own arguments, and goes on as before if it does not become ready.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    #[command(flatten)]
    at: Where,
    /// The program to start, in place of the one that runs
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Seconds that the new process has to be prepared
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
}

pub fn upgrade(args: &UpgradeArgs) -> Ended {
    match args.ask() {
        Ok(Upgraded { pid }) => {
            eprintln!("burdock: process {pid} has taken over");
            Ended::Well
        }
        Err(error) => error.report(),
    }
}

impl UpgradeArgs {
    /// Asks, and waits for what comes of it.
    fn ask(&self) -> Result<Upgraded, AskError> {
        let binary = self.binary.as_ref().map(std::path::absolute).transpose()?;
        let binary = binary.map(|path| path.to_string_lossy().into_owned());
        let patience = Duration::from_secs(self.timeout.into()) + MORE;
        let client = Client::new(&self.at)?.waiting(patience);
        let answer = client.send(Method::POST, "/api/v1/upgrade", &Upgrade { binary, timeout: Some(self.timeout) })?;
        serde_json::from_value(answer).map_err(|error| AskError::Unclear(error.to_string()))
    }
}
