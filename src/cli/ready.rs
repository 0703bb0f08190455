//! `burdock ready`: asks the running process at its admin socket, or else at its admin address, whether it is ready: for
//! health checks where there is no curl.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use burdock::config::values::Admin;
use clap::Args;

use super::config_file::ConfigFile;
use super::ended::Ended;

/// For the whole of it.
const PATIENCE: Duration = Duration::from_secs(2);
const QUESTION: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: burdock\r\nConnection: close\r\n\r\n";

/// Asks the running process whether it is ready; exit code 0 if it is
#[derive(Debug, Args)]
pub struct ReadyArgs {
    #[command(flatten)]
    config: ConfigFile,
}

pub fn ready(args: &ReadyArgs) -> Ended {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    match ask(&config.admin) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Ended::Well,
        Ok(answer) => {
            let why = answer.split_once("\r\n\r\n").map_or("no answer", |(_, body)| body.trim());
            eprintln!("burdock: not ready: {why}");
            Ended::Failed
        }
        Err(error) => {
            eprintln!("burdock: cannot ask: {error}");
            Ended::Failed
        }
    }
}

fn ask(admin: &Admin) -> io::Result<String> {
    if let Some(path) = &admin.socket {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        return converse(stream);
    }
    let Some(address) = admin.address else {
        return Err(io::Error::other("the configuration has neither admin.socket nor admin.address"));
    };
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    converse(stream)
}

fn converse(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(QUESTION)?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
