//! Commands that run to their end.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The result of a command.
#[derive(Debug)]
pub struct CommandOutput {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `burdock` with these arguments to its end.
pub fn burdock<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> CommandOutput {
    run(Command::new(env!("CARGO_BIN_EXE_burdock")).args(args))
}

/// Runs curl with this file as its cookie jar. Its output is the response headers and the body, byte for byte.
pub fn curl(jar: &Path, to: SocketAddr, path: &str, args: &[&str]) -> CommandOutput {
    let url = format!("http://{to}{path}");
    run(Command::new("curl")
        .args(["-s", "-S", "-i", "--max-time", "20", "-c"])
        .arg(jar)
        .arg("-b")
        .arg(jar)
        .args(args)
        .arg(url))
}

/// Sends a signal, by its short name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success(), "no process {pid}");
}

pub fn run(command: &mut Command) -> CommandOutput {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    CommandOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl CommandOutput {
    /// # Panics
    /// Unless it exited with code 0.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}
