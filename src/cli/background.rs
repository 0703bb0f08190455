//! `run -d`: starts the same program again, detached from the terminal. A fork, as Pingora does it, would lose every thread started
//! before it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use burdock::config::Config;
use burdock::config::values::LogTarget;

use super::outcome::Outcome;
use crate::runtime::directories;
use crate::runtime::regular_file;

/// Starts the program and waits until it has written its process id. If it ends before that, prints its output.
pub fn run(config: &Config, file: &Path) -> Outcome {
    let runtime_dir = &config.process.runtime_dir;
    if let Err(error) = directories::private(runtime_dir, "runtime_dir") {
        eprintln!("burdock: {error}");
        return Outcome::Failure;
    }
    if config.access_log.to == LogTarget::Stdout {
        eprintln!("burdock: stdout is discarded in the background: set access_log: {{to: FILE}} to get an access log");
    }
    match attempt(runtime_dir, file) {
        Ok(ended) => ended,
        Err(error) => {
            eprintln!("burdock: cannot start in the background: {error}");
            Outcome::Failure
        }
    }
}

fn attempt(runtime_dir: &Path, file: &Path) -> io::Result<Outcome> {
    let mut log = regular_file::open(
        OpenOptions::new().create(true).append(true).read(true).mode(0o600),
        &runtime_dir.join("burdock.log"),
    )?;
    let from = log.seek(SeekFrom::End(0))?;
    let mut child = command(file)?.stderr(log.try_clone()?).spawn()?;
    if has_started(&mut child, runtime_dir)? {
        return Ok(Outcome::Success);
    }
    eprint!("{}", output_since(log, from)?);
    Ok(Outcome::Failure)
}

fn command(file: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("run").arg("-c").arg(std::path::absolute(file)?);
    command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    Ok(command)
}

/// Waits until `child` has written its process id; false if it ends first.
fn has_started(child: &mut Child, runtime_dir: &Path) -> io::Result<bool> {
    let id = child.id().to_string();
    loop {
        if regular_file::read(&directories::pid_file(runtime_dir)).is_ok_and(|written| written.trim_ascii() == id.as_bytes())
        {
            return Ok(true);
        }
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn output_since(mut log: File, from: u64) -> io::Result<String> {
    let mut output = String::new();
    log.seek(SeekFrom::Start(from))?;
    log.read_to_string(&mut output)?;
    Ok(output)
}
