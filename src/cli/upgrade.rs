//! `burdock upgrade`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{ConfigFile, Ended};
use crate::api::problem::Problem;
use crate::api::process::{Upgrade, Upgraded};

/// Beyond the time that the new process has, for all the rest.
const MORE: Duration = Duration::from_secs(30);

/// Lets a new process take over from the running one, without losing a request
///
/// The running process starts it, with its own arguments, and goes on as before if it does not become ready.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// The process's Unix socket, if it is not the one of the configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The program to start, in place of the one that runs
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Seconds that the new process has to be prepared
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
}

pub fn upgrade(args: &UpgradeArgs) -> Ended {
    let socket = match args.socket() {
        Ok(socket) => socket,
        Err(ended) => return ended,
    };
    match args.ask(&socket) {
        Ok(Ok(Upgraded { pid })) => {
            eprintln!("burdock: process {pid} has taken over");
            Ended::Well
        }
        Ok(Err(problem)) => {
            eprintln!("burdock: {}", problem.detail);
            Ended::Failed
        }
        Err(error) => {
            eprintln!("burdock: cannot ask the running process at {}: {error}", socket.display());
            Ended::Failed
        }
    }
}

impl UpgradeArgs {
    fn socket(&self) -> Result<PathBuf, Ended> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        self.config.load()?.admin.socket.ok_or_else(|| {
            eprintln!("burdock: this configuration has no admin.socket: send SIGUSR2 to the process instead");
            Ended::Misused
        })
    }

    /// Asks, and waits for what comes of it.
    fn ask(&self, socket: &Path) -> io::Result<Result<Upgraded, Problem>> {
        let binary = self.binary.as_ref().map(std::path::absolute).transpose()?;
        let binary = binary.map(|path| path.to_string_lossy().into_owned());
        let body = serde_json::to_string(&Upgrade { binary, timeout: Some(self.timeout) })?;
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(self.timeout.into()) + MORE))?;
        let length = body.len();
        write!(
            stream,
            "POST /api/v1/upgrade HTTP/1.0\r\nHost: burdock\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "the answer broke off");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        let well = head.split_ascii_whitespace().nth(1) == Some("200");
        Ok(if well { Ok(serde_json::from_str(body)?) } else { Err(serde_json::from_str(body)?) })
    }
}
