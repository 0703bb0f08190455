//! The running process's side: starts a successor and tells, in the end, whether it is prepared.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::frames::{Hello, Message, read};
use super::{VARIABLE, trusted};
use crate::proxy::connections::Counted;
use crate::proxy::control::Control;
use crate::proxy::service_manager;
use crate::proxy::state::State;

/// How often it is looked whether something has come to be.
const GLANCE: Duration = Duration::from_millis(10);

/// So long whoever has asked for a successor has to hear that it was lost.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What a successor is started from: as this process was.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// Where the successor's process id goes once it serves, or why there is none.
pub type Answer = oneshot::Sender<Result<u32, Failed>>;

/// Somebody wants a successor.
#[derive(Debug, Default)]
pub struct Asked {
    /// Another program than the present one.
    pub binary: Option<PathBuf>,
    pub timing: Timing,
    pub answer: Option<Answer>,
}

impl Asked {
    /// There will be none.
    pub fn refuse(self, why: Failed) {
        log::error!("no successor, so this process goes on: {why}");
        if let Some(answer) = self.answer {
            let _ = answer.send(Err(why));
        }
    }
}

/// How long a successor may take to be prepared.
#[derive(Clone, Copy, Debug)]
pub struct Timing(pub Duration);

impl Timing {
    pub fn seconds(seconds: u16) -> Self {
        Self(Duration::from_secs(seconds.into()))
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self(Duration::from_secs(60))
    }
}

/// Why there is no successor. This process goes on as before.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("cannot make the socket of the handover: {0}")]
    Socket(io::Error),
    #[error("cannot start {}: {error}", .path.display())]
    Spawn { path: PathBuf, error: io::Error },
    #[error("the new process has ended before it was prepared ({0}); its messages say why")]
    Ended(String),
    #[error("the new process does not start: {0}")]
    Refused(String),
    #[error("the new process was not prepared within {0:?}")]
    Late(Duration),
    #[error("the disk is slow: what was changed at run time was not on it within {0:?}")]
    Unwritten(Duration),
    #[error("cannot talk to the new process: {0}")]
    Talk(io::Error),
    #[error("an upgrade is under way already")]
    UnderWay,
    #[error(
        "this is process 1, with which its container ends, and every other process in it: replace the container instead"
    )]
    First,
    #[error("this process is leaving")]
    Leaving,
    #[error("the new process was given the sockets and has ended; whoever supervises it must start it again")]
    Lost,
}

/// A successor that is prepared, or on its way there: ended when dropped.
#[derive(Debug)]
pub struct Giving {
    child: Option<Child>,
    stream: UnixStream,
}

/// A process that has been started, ended when dropped.
struct Started {
    child: Option<Child>,
    until: Instant,
    timing: Timing,
}

/// Where it comes to us; the file goes with it.
struct Door {
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

impl Giving {
    /// Starts a successor, gives it the tables and waits until it is prepared. Takes its time: not for a thread that serves.
    ///
    /// # Errors
    /// Whatever keeps it from being prepared; then it is ended.
    pub fn prepare(program: &Program, runtime_dir: &Path, asked: &Asked, control: &Control) -> Result<Self, Failed> {
        if std::process::id() == 1 {
            return Err(Failed::First);
        }
        let upgrade_socket = runtime_dir.join("upgrade.sock");
        let _ = std::fs::remove_file(&upgrade_socket);
        let door = Door::open(runtime_dir).map_err(Failed::Socket)?;
        let mut started = Started::new(program, asked, &door)?;
        let mut stream = started.greeted(&door)?;
        drop(door);
        Message::Estate(Some(Box::new(control.estate()))).send(&mut stream).map_err(Failed::Talk)?;
        let heir = stream.try_clone().map_err(Failed::Talk)?;
        if !control.state.sessions.share(heir, started.left()?) {
            return Err(started.why(&mut stream));
        }
        loop {
            stream.set_read_timeout(Some(started.left()?)).map_err(Failed::Talk)?;
            match read(&mut stream) {
                Ok(Message::Prepared) => break,
                Ok(Message::Refused(reason)) => return Err(Failed::Refused(reason)),
                Ok(_) => {}
                Err(_) => return Err(started.why(&mut stream)),
            }
        }
        while !is_listened_on(&upgrade_socket) {
            started.still_there()?;
            std::thread::sleep(GLANCE);
        }
        // Pingora lets everybody connect, were it not for the folder.
        std::fs::set_permissions(&upgrade_socket, Permissions::from_mode(0o600)).map_err(Failed::Socket)?;
        stream.set_read_timeout(None).map_err(Failed::Talk)?;
        Ok(Self { child: started.child.take(), stream })
    }

    /// The sockets go to the successor now: it lives on. What becomes of it is told to whoever has asked.
    pub fn let_go(mut self, answer: Option<Answer>, state: Arc<State>) {
        let Some(child) = self.child.take() else { return };
        let stream = self.stream.try_clone();
        let watched = state.handovers.enter();
        state.handovers.close();
        let watch = move || watch(child, stream, answer, &state, watched);
        if let Err(error) = std::thread::Builder::new().name("successor".into()).spawn(watch) {
            log::error!("cannot watch the new process: {error}");
        }
    }
}

fn watch(mut child: Child, stream: io::Result<UnixStream>, answer: Option<Answer>, state: &State, watched: Counted) {
    let id = child.id();
    let serves = stream.is_ok_and(|mut stream| {
        std::iter::from_fn(|| read(&mut stream).ok()).any(|message| matches!(message, Message::Serving))
    });
    if serves {
        log::info!("process {id} has taken over");
        service_manager::succeeded_by(id);
    }
    if let Some(answer) = answer {
        let _ = answer.send(if serves { Ok(id) } else { Err(Failed::Lost) });
    }
    if !serves {
        give_up(id, state);
    }
    drop(watched);
    let _ = child.wait();
}

/// Nobody will accept once this process has left: the sooner it is started again the better.
fn give_up(successor: u32, state: &State) -> ! {
    log::error!("process {successor} was given the sockets and has ended; ending, to be started again");
    std::thread::sleep(LAST_WORDS);
    state.close();
    std::process::exit(1);
}

impl Drop for Giving {
    fn drop(&mut self) {
        self.child.take().into_iter().for_each(end);
    }
}

impl Started {
    fn new(program: &Program, asked: &Asked, door: &Door) -> Result<Self, Failed> {
        let path = asked.binary.as_ref().unwrap_or(&program.path);
        log::info!("starting {} to take over", path.display());
        let mut command = Command::new(path);
        command.args(&program.arguments).env(VARIABLE, &door.path).stdin(Stdio::null());
        // It names this process, and would silence that one.
        command.env_remove("WATCHDOG_PID");
        let child = command.spawn().map_err(|error| Failed::Spawn { path: path.clone(), error })?;
        Ok(Self { child: Some(child), until: now() + asked.timing.0, timing: asked.timing })
    }

    /// Waits until it has come by the door and said hello.
    fn greeted(&mut self, door: &Door) -> Result<UnixStream, Failed> {
        let stream = loop {
            self.still_there()?;
            match door.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(GLANCE),
                Err(error) => return Err(Failed::Socket(error)),
            }
        };
        let mut stream = trusted(stream).map_err(Failed::Talk)?;
        let left = Some(self.left()?);
        stream.set_read_timeout(left).and_then(|()| stream.set_write_timeout(left)).map_err(Failed::Talk)?;
        Message::Hello(Hello::ours()).send(&mut stream).map_err(Failed::Talk)?;
        match read(&mut stream) {
            Ok(Message::Hello(hello)) => hello.check().map_err(Failed::Talk)?,
            Ok(Message::Refused(reason)) => return Err(Failed::Refused(reason)),
            Ok(_) | Err(_) => return Err(self.why(&mut stream)),
        }
        Ok(stream)
    }

    fn still_there(&mut self) -> Result<(), Failed> {
        self.left()?;
        match self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
            Some(ended) => Err(Failed::Ended(ended.map_or_else(|error| error.to_string(), |status| status.to_string()))),
            None => Ok(()),
        }
    }

    fn left(&self) -> Result<Duration, Failed> {
        let left = self.until.saturating_duration_since(now());
        if left.is_zero() { Err(Failed::Late(self.timing.0)) } else { Ok(left) }
    }

    /// Why it talks no more.
    fn why(&mut self, stream: &mut UnixStream) -> Failed {
        let _ = stream.set_read_timeout(Some(GLANCE));
        while let Ok(message) = read(stream) {
            if let Message::Refused(reason) = message {
                return Failed::Refused(reason);
            }
        }
        for _ in 0..100 {
            if let Err(failed) = self.still_there() {
                return failed;
            }
            std::thread::sleep(GLANCE);
        }
        Failed::Talk(io::ErrorKind::ConnectionReset.into())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.child.take().into_iter().for_each(end);
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Door {
    fn open(runtime_dir: &Path) -> io::Result<Self> {
        let path = runtime_dir.join(format!("handover-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether somebody listens on this socket. To connect would be an answer too, but whoever listens takes one connection only.
fn is_listened_on(socket: &Path) -> bool {
    const LISTENS: &str = "00010000";
    let sockets = std::fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
    let path = socket.to_string_lossy();
    sockets.lines().any(|line| line.split_whitespace().nth(3) == Some(LISTENS) && line.ends_with(&format!(" {path}")))
}

#[expect(clippy::disallowed_methods, reason = "a deadline for another process, of which the core knows nothing")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sees_whether_a_socket_is_listened_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upgrade.sock");
        assert!(!is_listened_on(&path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_listened_on(&path));
        drop(listener);
        assert!(!is_listened_on(&path));
    }
}
