//! Starts the new process and waits until it has connected and said hello.

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
use crate::process::upgrade::protocol::{Exchange, Hello, Message, read};
use crate::runtime::leftovers;

/// How often to check for progress.
pub const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The program and arguments of a successor: those of this process.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// A started process. It is ended on drop, unless it is let go.
#[derive(Debug)]
pub struct NewProcess {
    child: Child,
    on_drop: OnDrop,
    until: Instant,
    timing: UpgradeTimeout,
}

/// What happens to the process when this one no longer watches it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OnDrop {
    End,
    LetGo,
}

/// The socket that it connects to. The file is removed on drop.
pub struct HandoverSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Program {
    /// The current program, by the path that it was started with: later the file there may be another version.
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

impl NewProcess {
    pub fn new(program: &Program, request: &UpgradeRequest, socket: &HandoverSocket) -> Result<Self, UpgradeError> {
        let path = request.binary.as_ref().unwrap_or(&program.path);
        log::info!("starting {} to take over", path.display());
        let mut command = Command::new(path);
        command.args(&program.arguments).env(VARIABLE, &socket.path).stdin(Stdio::null());
        // It names this process, and would disable the watchdog of the new one.
        command.env_remove("WATCHDOG_PID");
        let child = command.spawn().map_err(|error| UpgradeError::Spawn { path: path.clone(), error })?;
        Ok(Self { child, on_drop: OnDrop::End, until: now() + request.timing.0, timing: request.timing })
    }

    /// Waits until it has connected and said hello. Returns the connection, and how both exchange changes.
    pub fn handshake(&mut self, socket: &HandoverSocket) -> Result<(UnixStream, Exchange), UpgradeError> {
        let stream = loop {
            self.check_alive()?;
            match socket.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(POLL_INTERVAL),
                Err(error) => return Err(UpgradeError::Socket(error)),
            }
        };
        let mut stream = trusted(stream).map_err(UpgradeError::Talk)?;
        let left = Some(self.time_left()?);
        stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left)).map_err(UpgradeError::Talk)?;
        Message::Hello(Hello::ours()).send(&mut stream).map_err(UpgradeError::Talk)?;
        let exchange = match read(&mut stream) {
            Ok(Message::Hello(hello)) => hello.check().map(|()| hello.exchange()).map_err(UpgradeError::Talk)?,
            Ok(Message::Refused(reason)) => return Err(UpgradeError::Refused(reason)),
            Ok(_) | Err(_) => return Err(self.failure()),
        };
        stream.set_read_timeout(None).map_err(UpgradeError::Talk)?;
        Ok((stream, exchange))
    }

    /// From now on it runs on its own. A thread waits for its end, so that it leaves no zombie. Returns its process id.
    pub fn let_go(mut self) -> u32 {
        self.on_drop = OnDrop::LetGo;
        let id = self.child.id();
        let watch = move || _ = self.child.wait();
        if let Err(error) = std::thread::Builder::new().name("successor".into()).spawn(watch) {
            log::error!("cannot watch the new process: {error}");
        }
        id
    }

    pub fn check_alive(&mut self) -> Result<(), UpgradeError> {
        self.time_left()?;
        match self.child.try_wait().transpose() {
            Some(ended) => {
                Err(UpgradeError::Ended(ended.map_or_else(|error| error.to_string(), |status| status.to_string())))
            }
            None => Ok(()),
        }
    }

    pub fn time_left(&self) -> Result<Duration, UpgradeError> {
        let left = self.until.saturating_duration_since(now());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    /// It has run out of time.
    pub fn late(&self) -> UpgradeError {
        UpgradeError::Late(self.timing.0)
    }

    /// Why it has stopped communicating.
    pub fn failure(&mut self) -> UpgradeError {
        for _ in 0..100 {
            if let Err(failed) = self.check_alive() {
                return failed;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        UpgradeError::Talk(io::ErrorKind::ConnectionReset.into())
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        match self.on_drop {
            OnDrop::End => {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            OnDrop::LetGo => {}
        }
    }
}

impl HandoverSocket {
    pub fn open(runtime_dir: &Path) -> io::Result<Self> {
        let path = runtime_dir.join(leftovers::handover_name(std::process::id()));
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

#[expect(clippy::disallowed_methods, reason = "a deadline for another process, unknown to the core")]
fn now() -> Instant {
    Instant::now()
}
