//! The running process's side: starts a successor and tells, in the end, whether it is prepared.

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
use crate::process::upgrade::spawn::{HandoverSocket, POLL_INTERVAL, Program, Started, end};
use crate::process::upgrade::table_feed::send::TableFeed;
use crate::runtime::systemd;

/// So long whoever has asked for a successor has to hear that it was lost.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A successor that is prepared, or on its way there: ended when dropped.
#[derive(Debug)]
pub struct Successor {
    child: Option<Child>,
    stream: UnixStream,
    feed: Arc<TableFeed>,
}

impl Successor {
    /// Starts a successor, gives it the tables and waits until it is prepared. Takes its time: not for a thread that serves.
    ///
    /// # Errors
    /// Whatever keeps it from being prepared; then it is ended.
    pub fn prepare(
        program: &Program,
        runtime_dir: &Path,
        asked: &UpgradeRequest,
        control: &Control,
    ) -> Result<Self, UpgradeError> {
        if std::process::id() == 1 {
            return Err(UpgradeError::First);
        }
        let upgrade_socket = runtime_dir.join("upgrade.sock");
        let _ = std::fs::remove_file(&upgrade_socket);
        let socket = HandoverSocket::open(runtime_dir).map_err(UpgradeError::Socket)?;
        let mut started = Started::new(program, asked, &socket)?;
        let mut stream = started.greeted(&socket)?;
        drop(socket);
        Message::Handoff(Some(Box::new(control.handoff()))).send(&mut stream).map_err(UpgradeError::Talk)?;
        let feed = feed(&stream, control).map_err(UpgradeError::Talk)?;
        if !feed.has_sent_tables(started.left()?) {
            return Err(started.why(&mut stream));
        }
        loop {
            stream.set_read_timeout(Some(started.left()?)).map_err(UpgradeError::Talk)?;
            match read(&mut stream) {
                Ok(Message::Prepared) => break,
                Ok(Message::Refused(reason)) => return Err(UpgradeError::Refused(reason)),
                Ok(_) => {}
                Err(_) => return Err(started.why(&mut stream)),
            }
        }
        while !is_listened_on(&upgrade_socket) {
            started.still_there()?;
            std::thread::sleep(POLL_INTERVAL);
        }
        // Pingora lets everybody connect, were it not for the folder.
        std::fs::set_permissions(&upgrade_socket, Permissions::from_mode(0o600)).map_err(UpgradeError::Socket)?;
        stream.set_read_timeout(None).map_err(UpgradeError::Talk)?;
        Ok(Self { child: started.child.take(), stream, feed: Arc::new(feed) })
    }

    /// What sends it the session tables.
    pub fn feed(&self) -> &Arc<TableFeed> {
        &self.feed
    }

    /// The sockets go to the successor now: it lives on. What becomes of it is told to whoever has asked.
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

/// Begins to send it all tables.
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

/// Nobody will accept once this process has left: the sooner it is started again the better.
fn give_up(successor: u32, state: &ProcessState) -> ! {
    log::error!("process {successor} was given the sockets and has ended; ending, to be started again");
    std::thread::sleep(LAST_WORDS);
    state.close();
    std::process::exit(1);
}

impl Drop for Successor {
    fn drop(&mut self) {
        self.child.take().into_iter().for_each(end);
    }
}

/// Whether somebody listens on this socket. To connect would be an answer too, but whoever listens takes one connection only.
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
