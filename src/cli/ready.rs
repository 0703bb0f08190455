//! `burdock ready`: asks the running process whether it is ready, on its admin socket, or at its admin address if it has no socket.
//! For health checks without curl.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use burdock::config::values::Admin;
use clap::Args;

use super::config_file::ConfigFile;
use super::outcome::Outcome;

/// Time to connect, and to read the response.
const TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: burdock\r\nConnection: close\r\n\r\n";

/// Checks whether the running process is ready; exits with 0 if it is
#[derive(Debug, Args)]
pub struct ReadyArgs {
    #[command(flatten)]
    config: ConfigFile,
}

pub fn ready(args: &ReadyArgs) -> Outcome {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    match ask(&config.admin) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Outcome::Success,
        Ok(answer) => {
            let why = answer.split_once("\r\n\r\n").map_or("no response", |(_, body)| body.trim());
            eprintln!("burdock: not ready: {why}");
            Outcome::Failure
        }
        Err(error) => {
            eprintln!("burdock: cannot reach the process: {error}");
            Outcome::Failure
        }
    }
}

fn ask(admin: &Admin) -> io::Result<String> {
    if let Some(path) = &admin.socket {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        return exchange(stream);
    }
    let Some(address) = admin.address else {
        return Err(io::Error::other("the configuration has neither admin.socket nor admin.address"));
    };
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    exchange(stream)
}

fn exchange(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
