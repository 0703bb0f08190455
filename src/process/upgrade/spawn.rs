//! A process is started, comes by a socket of its own, and says hello.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::socket::{VARIABLE, trusted};
use crate::control::upgrade_request::{UpgradeError, UpgradeRequest, UpgradeTimeout};
use crate::process::upgrade::protocol::{Hello, Message, read};

/// How often it is looked whether something has come to be.
pub const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What a successor is started from: as this process was.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// A process that has been started, ended when dropped.
pub struct Started {
    pub child: Option<Child>,
    until: Instant,
    timing: UpgradeTimeout,
}

/// Where it comes to us; the file goes with it.
pub struct HandoverSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Program {
    /// The present one, by the path that it was started with: what is there later may be another version.
    ///
    /// # Errors
    /// If it cannot be found.
    pub fn present() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let named = arguments.next().map(PathBuf::from).filter(|name| name.components().count() > 1);
        let path = named.map_or_else(std::env::current_exe, std::path::absolute)?;
        Ok(Self { path, arguments: arguments.collect() })
    }
}

impl Started {
    pub fn new(program: &Program, asked: &UpgradeRequest, socket: &HandoverSocket) -> Result<Self, UpgradeError> {
        let path = asked.binary.as_ref().unwrap_or(&program.path);
        log::info!("starting {} to take over", path.display());
        let mut command = Command::new(path);
        command.args(&program.arguments).env(VARIABLE, &socket.path).stdin(Stdio::null());
        // It names this process, and would silence that one.
        command.env_remove("WATCHDOG_PID");
        let child = command.spawn().map_err(|error| UpgradeError::Spawn { path: path.clone(), error })?;
        Ok(Self { child: Some(child), until: now() + asked.timing.0, timing: asked.timing })
    }

    /// Waits until it has come by the socket and said hello.
    pub fn greeted(&mut self, socket: &HandoverSocket) -> Result<UnixStream, UpgradeError> {
        let stream = loop {
            self.still_there()?;
            match socket.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(POLL_INTERVAL),
                Err(error) => return Err(UpgradeError::Socket(error)),
            }
        };
        let mut stream = trusted(stream).map_err(UpgradeError::Talk)?;
        let left = Some(self.left()?);
        stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left)).map_err(UpgradeError::Talk)?;
        Message::Hello(Hello::ours()).send(&mut stream).map_err(UpgradeError::Talk)?;
        match read(&mut stream) {
            Ok(Message::Hello(hello)) => hello.check().map_err(UpgradeError::Talk)?,
            Ok(Message::Refused(reason)) => return Err(UpgradeError::Refused(reason)),
            Ok(_) | Err(_) => return Err(self.why(&mut stream)),
        }
        Ok(stream)
    }

    pub fn still_there(&mut self) -> Result<(), UpgradeError> {
        self.left()?;
        match self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
            Some(ended) => {
                Err(UpgradeError::Ended(ended.map_or_else(|error| error.to_string(), |status| status.to_string())))
            }
            None => Ok(()),
        }
    }

    pub fn left(&self) -> Result<Duration, UpgradeError> {
        let left = self.until.saturating_duration_since(now());
        if left.is_zero() { Err(UpgradeError::Late(self.timing.0)) } else { Ok(left) }
    }

    /// Why it talks no more.
    pub fn why(&mut self, stream: &mut UnixStream) -> UpgradeError {
        let _ = stream.set_read_timeout(Some(POLL_INTERVAL));
        while let Ok(message) = read(stream) {
            if let Message::Refused(reason) = message {
                return UpgradeError::Refused(reason);
            }
        }
        for _ in 0..100 {
            if let Err(failed) = self.still_there() {
                return failed;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        UpgradeError::Talk(io::ErrorKind::ConnectionReset.into())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.child.take().into_iter().for_each(end);
    }
}

pub fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl HandoverSocket {
    pub fn open(runtime_dir: &Path) -> io::Result<Self> {
        let path = runtime_dir.join(format!("handover-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }
}

impl Drop for HandoverSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline for another process, of which the core knows nothing")]
fn now() -> Instant {
    Instant::now()
}
