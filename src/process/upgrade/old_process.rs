//! The running process's side: starts a successor, waits until it is prepared, and watches it take over.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use crate::client::connections::Counted;
use crate::control::change::Control;
use crate::control::state::{Follower, ProcessState};
use crate::control::upgrade_request::{UpgradeAnswer, UpgradeError, UpgradeRequest};
use crate::process::upgrade::protocol::{Message, read};
use crate::process::upgrade::spawn::{HandoverSocket, NewProcess, POLL_INTERVAL, Program, end};
use crate::process::upgrade::table_feed::send::TableFeed;
use crate::runtime::systemd;

/// The time for the upgrade request's failure to reach its client before the process ends.
const REPORT_DELAY: Duration = Duration::from_millis(100);

/// A successor that is prepared or preparing. It is ended on drop.
#[derive(Debug)]
pub struct Successor {
    child: Option<Child>,
    stream: UnixStream,
    feed: Arc<TableFeed>,
}

impl Successor {
    /// Starts a successor, sends it the tables and waits until it is prepared. This is slow: do not call it from a thread that
    /// serves requests.
    ///
    /// # Errors
    /// The reason why it could not be prepared; it is ended then.
    pub fn prepare(
        program: &Program,
        runtime_dir: &Path,
        request: &UpgradeRequest,
        control: &Control,
    ) -> Result<Self, UpgradeError> {
        if std::process::id() == 1 {
            return Err(UpgradeError::First);
        }
        let upgrade_socket = runtime_dir.join("upgrade.sock");
        let _ = std::fs::remove_file(&upgrade_socket);
        let socket = HandoverSocket::open(runtime_dir).map_err(UpgradeError::Socket)?;
        let mut process = NewProcess::new(program, request, &socket)?;
        let mut stream = process.handshake(&socket)?;
        drop(socket);
        Message::Handoff(Some(Box::new(control.handoff()))).send(&mut stream).map_err(UpgradeError::Talk)?;
        let feed = feed(&stream, control).map_err(UpgradeError::Talk)?;
        if !feed.has_sent_tables(process.time_left()?) {
            return Err(process.failure(&mut stream));
        }
        loop {
            stream.set_read_timeout(Some(process.time_left()?)).map_err(UpgradeError::Talk)?;
            match read(&mut stream) {
                Ok(Message::Prepared) => break,
                Ok(Message::Refused(reason)) => return Err(UpgradeError::Refused(reason)),
                Ok(_) => {}
                Err(_) => return Err(process.failure(&mut stream)),
            }
        }
        while !is_listened_on(&upgrade_socket) {
            process.check_alive()?;
            std::thread::sleep(POLL_INTERVAL);
        }
        // Pingora's socket is open to every user, so far protected only by its directory.
        std::fs::set_permissions(&upgrade_socket, Permissions::from_mode(0o600)).map_err(UpgradeError::Socket)?;
        stream.set_read_timeout(None).map_err(UpgradeError::Talk)?;
        Ok(Self { child: process.child.take(), stream, feed: Arc::new(feed) })
    }

    /// The feed that sends it the session tables.
    pub fn feed(&self) -> &Arc<TableFeed> {
        &self.feed
    }

    /// Keeps the successor running, as it receives the sockets now, and reports the result to the upgrade request.
    pub fn let_go(mut self, answer: Option<UpgradeAnswer>, state: Arc<ProcessState>) {
        let Some(child) = self.child.take() else { return };
        let follower: Arc<dyn Follower> = Arc::clone(&self.feed) as _;
        state.followers.lock().push(follower);
        let stream = self.stream.try_clone();
        let watched = state.handovers.enter();
        state.handovers.close();
        let watch = move || watch(child, stream, answer, &state, watched);
        if let Err(error) = std::thread::Builder::new().name("successor".into()).spawn(watch) {
            log::error!("cannot watch the new process: {error}");
        }
    }
}

/// Starts sending it all tables.
fn feed(stream: &UnixStream, control: &Control) -> io::Result<TableFeed> {
    let serving = &control.state.serving;
    let tables: Vec<_> = serving.generation.load().balancer.tables().all().cloned().collect();
    TableFeed::start(stream.try_clone()?, &tables, control.desired().secrets.fingerprints.id(), serving.clock)
}

fn watch(
    mut child: Child,
    stream: io::Result<UnixStream>,
    answer: Option<UpgradeAnswer>,
    state: &ProcessState,
    watched: Counted,
) {
    let id = child.id();
    let serves = stream.is_ok_and(|mut stream| {
        std::iter::from_fn(|| read(&mut stream).ok()).any(|message| matches!(message, Message::Serving))
    });
    if serves {
        log::info!("process {id} has taken over");
        systemd::replaced_by(id);
    }
    if let Some(answer) = answer {
        let _ = answer.send(if serves { Ok(id) } else { Err(UpgradeError::Lost) });
    }
    if !serves {
        give_up(id, state);
    }
    drop(watched);
    let _ = child.wait();
}

/// The sockets are lost: exit at once so that the service manager can start Burdock again.
fn give_up(successor: u32, state: &ProcessState) -> ! {
    log::error!(
        "process {successor} has ended after it was given the sockets; exiting, to be restarted by the service manager"
    );
    std::thread::sleep(REPORT_DELAY);
    state.close();
    std::process::exit(1);
}

impl Drop for Successor {
    fn drop(&mut self) {
        self.child.take().into_iter().for_each(end);
    }
}

/// Whether a process listens on this socket. A test connection would show it too, but the listener accepts only one connection.
fn is_listened_on(socket: &Path) -> bool {
    const LISTENS: &str = "00010000";
    let sockets = std::fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
    let path = socket.to_string_lossy();
    sockets.lines().any(|line| line.split_whitespace().nth(3) == Some(LISTENS) && line.ends_with(&format!(" {path}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listening_socket_is_detected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("upgrade.sock");
        assert!(!is_listened_on(&path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_listened_on(&path));
        drop(listener);
        assert!(!is_listened_on(&path));
    }
}
