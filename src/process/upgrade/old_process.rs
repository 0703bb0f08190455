//! The running process's side: starts a successor, waits until it is prepared, gives it the listening sockets, and waits until it
//! serves. Until then this process accepts, and it goes on if the successor fails.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use crate::control::change::Control;
use crate::control::state::{Follower, ProcessState};
use crate::control::upgrade_request::{UpgradeError, UpgradeRequest};
use crate::process::upgrade::listening_sockets::ListeningSockets;
use crate::process::upgrade::other_process::adopt_from_successor;
use crate::process::upgrade::protocol::{Exchange, Message, read};
use crate::process::upgrade::spawn::{HandoverSocket, NewProcess, POLL_INTERVAL, Program};
use crate::process::upgrade::table_feed::receive::Incoming;
use crate::process::upgrade::table_feed::send::{First, TableFeed};
use crate::process::upgrade::table_feed::{Link, Outbox};
use crate::runtime::directories;
use crate::runtime::unix_sockets::is_listened_on;

/// The state directory, the pid file and the socket of the admin service, which the new process takes.
pub struct Possessions<'p> {
    pub state: &'p ProcessState,
    pub control: &'p Control,
    pub runtime_dir: &'p Path,
}

/// A successor that is prepared or preparing. It is ended on drop.
#[derive(Debug)]
pub struct Successor {
    process: NewProcess,
    events: mpsc::Receiver<Event>,
    feed: Arc<TableFeed>,
    upgrade_socket: PathBuf,
}

/// What the successor reports.
#[derive(Debug)]
enum Event {
    Prepared,
    Refused(String),
    Serving,
    /// It has closed the connection.
    Ended,
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
        control: &Arc<Control>,
    ) -> Result<Self, UpgradeError> {
        if std::process::id() == 1 {
            return Err(UpgradeError::First);
        }
        let upgrade_socket = runtime_dir.join("upgrade.sock");
        let _ = std::fs::remove_file(&upgrade_socket);
        let socket = HandoverSocket::open(runtime_dir).map_err(UpgradeError::Socket)?;
        let mut process = NewProcess::new(program, request, &socket)?;
        let (stream, exchange) = process.handshake(&socket)?;
        drop(socket);
        let link = link(stream, exchange, control).map_err(UpgradeError::Talk)?;
        link.outbox.send(&Message::Handoff(Some(Box::new(control.handoff())))).map_err(UpgradeError::Talk)?;
        let events = follow(&link, control).map_err(UpgradeError::Talk)?;
        let source = Arc::clone(control);
        let feed =
            TableFeed::start(link, First::Tables, Box::new(move || source.shared_state())).map_err(UpgradeError::Talk)?;
        let mut successor = Self { process, events, feed: Arc::new(feed), upgrade_socket };
        successor.wait_until_prepared()?;
        // Pingora's socket is open to every user, so far protected only by its directory.
        std::fs::set_permissions(&successor.upgrade_socket, Permissions::from_mode(0o600)).map_err(UpgradeError::Socket)?;
        Ok(successor)
    }

    /// Gives the successor the listening sockets and all that only one process can have, and returns when it serves. This process
    /// accepts all the while.
    ///
    /// # Errors
    /// The reason why it does not serve. Then end it, by dropping this, and take everything back.
    pub fn hand_over(&mut self, sockets: &ListeningSockets, possessions: &Possessions<'_>) -> Result<(), UpgradeError> {
        self.feed.await_changes();
        possessions.release();
        sockets.send(&self.upgrade_socket).map_err(UpgradeError::Sockets)?;
        match self.next_event()? {
            Event::Serving => Ok(()),
            Event::Refused(reason) => Err(UpgradeError::Refused(reason)),
            Event::Prepared | Event::Ended => Err(self.process.failure()),
        }
    }

    /// Keeps the successor running, as it serves now. Returns its process id.
    pub fn let_go(self, state: &Arc<ProcessState>) -> u32 {
        let follower: Arc<dyn Follower> = Arc::clone(&self.feed) as _;
        state.followers.lock().push(follower);
        state.handovers.close();
        self.process.let_go()
    }

    fn wait_until_prepared(&mut self) -> Result<(), UpgradeError> {
        if !self.feed.has_sent_tables(self.process.time_left()?) {
            return Err(self.refusal().unwrap_or_else(|| self.process.failure()));
        }
        match self.next_event()? {
            Event::Prepared => {}
            Event::Refused(reason) => return Err(UpgradeError::Refused(reason)),
            Event::Serving | Event::Ended => return Err(self.process.failure()),
        }
        while !is_listened_on(&self.upgrade_socket) {
            self.process.check_alive()?;
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// What it reports next, within the time that the request allows.
    fn next_event(&self) -> Result<Event, UpgradeError> {
        let event = self.events.recv_timeout(self.process.time_left()?);
        match event {
            Ok(event) => Ok(event),
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(Event::Ended),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(self.process.late()),
        }
    }

    /// The reason with which it has declined, if it has.
    fn refusal(&self) -> Option<UpgradeError> {
        let event = self.events.recv_timeout(POLL_INTERVAL).ok()?;
        if let Event::Refused(reason) = event { Some(UpgradeError::Refused(reason)) } else { None }
    }
}

impl Possessions<'_> {
    /// Lets the new process take them.
    fn release(&self) {
        if let Some(Err(error)) = self.state.admin_socket.get().map(|socket| socket.keep()) {
            log::warn!("if the upgrade fails, the admin socket may be lost: {error}");
        }
        self.state.storage.release();
    }

    /// The new process serves: they are its own now.
    pub fn leave(&self) {
        self.state.admin_socket.get().into_iter().for_each(|socket| socket.leave());
    }

    /// Takes them back: the new process has ended.
    pub fn take_back(&self) {
        self.state.storage.take_back();
        self.control.take_back_store();
        if let Err(error) = directories::write_pid(self.runtime_dir) {
            log::error!("cannot write the process id into {}: {error}", self.runtime_dir.display());
        }
        if let Some(Err(error)) = self.state.admin_socket.get().map(|socket| socket.place()) {
            log::error!("{error}");
        }
    }
}

/// The connection to the successor, with a subscription to each table.
fn link(stream: UnixStream, exchange: Exchange, control: &Control) -> io::Result<Link> {
    let serving = &control.state.serving;
    let tables: Vec<_> = serving.generation.load().balancer.tables().all().cloned().collect();
    let key = control.desired().secrets.fingerprints.id();
    Ok(Link::new(Outbox::new(stream)?, exchange, &tables, key, serving.clock))
}

/// Reads what the successor sends, until it ends: applies its changes, and passes on what it reports.
fn follow(link: &Link, control: &Arc<Control>) -> io::Result<mpsc::Receiver<Event>> {
    let (report, events) = mpsc::channel();
    let mut from = io::BufReader::new(link.outbox.reader()?);
    let (mut incoming, control) = (Incoming::new(link.clone()), Arc::clone(control));
    let follow = move || {
        while let Ok(message) = read(&mut from) {
            let event = match incoming.take(message) {
                Some(Message::Prepared) => Event::Prepared,
                Some(Message::Refused(reason)) => Event::Refused(reason),
                Some(Message::Serving) => Event::Serving,
                Some(Message::State(state)) => {
                    adopt_from_successor(&control, &state);
                    continue;
                }
                Some(_) | None => continue,
            };
            // After it serves, nobody waits for a report.
            let _ = report.send(event);
        }
        let _ = report.send(Event::Ended);
    };
    std::thread::Builder::new().name("new-process".into()).spawn(follow)?;
    Ok(events)
}
