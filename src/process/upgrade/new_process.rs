//! The successor's side: receives the tables, reports when it is prepared, and takes over when it has the sockets.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::ServiceReadyNotifier;
use pingora::services::background::BackgroundService;

use super::socket::{VARIABLE, trusted};
use crate::client::connections::Counted;
use crate::control::change::Control;
use crate::control::handoff::ProcessHandoff;
use crate::process::upgrade::other_process::adopt_from_predecessor;
use crate::process::upgrade::protocol::{Exchange, Hello, Message, read};
use crate::process::upgrade::table_feed::receive::Incoming;
use crate::process::upgrade::table_feed::send::{First, TableFeed};
use crate::process::upgrade::table_feed::{Link, Outbox};
use crate::runtime::directories;

/// How much is read at once.
const WINDOW: usize = 256 << 10;

/// Why taking over from the running process has failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot take over from the running process: {0}")]
pub struct NoPredecessor(#[from] io::Error);

/// The process that is still running.
#[derive(Debug)]
pub struct Predecessor {
    outbox: Outbox,
    exchange: Exchange,
    /// Whether this process has its sockets.
    has_sockets: AtomicBool,
    /// Its state when it started this process; None if it could not be decoded.
    pub handoff: Option<ProcessHandoff>,
}

/// Tells the predecessor when this process needs only its sockets.
pub struct PreparedService(pub Arc<Predecessor>);

/// Takes over when this process has the sockets.
pub struct TakeoverService {
    pub predecessor: Arc<Predecessor>,
    pub control: Arc<Control>,
    pub runtime_dir: PathBuf,
}

/// Tells the process that has started this one for an upgrade, if any, why it cannot take over.
pub fn decline(reason: &str) {
    let Some(path) = std::env::var_os(VARIABLE) else { return };
    let result = UnixStream::connect(Path::new(&path)).and_then(trusted).and_then(|mut stream| {
        Message::Refused(reason.to_owned()).send(&mut stream)?;
        // Read its hello first: it would find a closed socket if this process ended before that.
        read(&mut stream)
    });
    if let Err(error) = result {
        log::error!("cannot send a message to the running process: {error}");
    }
}

impl Predecessor {
    /// The process that has started this one for an upgrade, if any.
    ///
    /// # Errors
    /// If communication with it fails.
    pub fn find() -> Result<Option<Self>, NoPredecessor> {
        let Some(path) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let mut stream = trusted(UnixStream::connect(Path::new(&path))?)?;
        Message::Hello(Hello::ours()).send(&mut stream)?;
        let unexpected = || io::Error::from(io::ErrorKind::InvalidData);
        let Message::Hello(hello) = read(&mut stream)? else { return Err(unexpected().into()) };
        hello.check()?;
        let Message::Handoff(handoff) = read(&mut stream)? else { return Err(unexpected().into()) };
        fail_at("greeted");
        let handoff = handoff.map(|handoff| *handoff);
        let (outbox, exchange) = (Outbox::new(stream)?, hello.exchange());
        Ok(Some(Self { outbox, exchange, has_sockets: AtomicBool::new(false), handoff }))
    }

    /// Its listening addresses; empty if it has sent none.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.handoff.as_ref().map_or(&[], |handoff| &handoff.addresses)
    }

    /// A reader of its messages.
    ///
    /// # Errors
    /// If the limit of open files is reached.
    pub fn reader(&self) -> io::Result<UnixStream> {
        self.outbox.reader()
    }

    pub fn send(&self, message: &Message) {
        if let Err(error) = self.outbox.send(message) {
            log::error!("cannot send a message to the running process: {error}");
        }
    }

    /// Exchanges changes with it until it ends. If it ends before handing over its sockets, this process exits.
    ///
    /// # Errors
    /// If the limit of threads is reached.
    pub fn follow(self: &Arc<Self>, control: &Arc<Control>) -> io::Result<()> {
        let serving = &control.state.serving;
        let tables: Vec<_> = serving.generation.load().balancer.tables().all().cloned().collect();
        let key = control.desired().secrets.fingerprints.id();
        let link = Link::new(self.outbox.clone(), self.exchange, &tables, key, serving.clock);
        let feed = self.feed(&link, control)?;
        let (predecessor, control) = (Arc::clone(self), Arc::clone(control));
        let mut from = io::BufReader::with_capacity(WINDOW, self.reader()?);
        // Its changes reach our own successor through us, so our exit waits for it.
        let (guard, asker) = (control.state.handovers.enter(), control.state.serving.askers.enter());
        let follow = move || {
            let _guard = guard;
            let end = receive_changes(&mut from, Incoming::new(link), asker, &control);
            drop(feed);
            if !predecessor.has_sockets.load(SeqCst) {
                log::error!("the running process has ended before the handover ({end}); exiting");
                std::process::exit(1);
            }
            log::info!("the previous process has ended");
        };
        std::thread::Builder::new().name("predecessor".into()).spawn(follow).map(|_| ())
    }

    /// Sends it this process's changes, if it takes any.
    fn feed(&self, link: &Link, control: &Arc<Control>) -> io::Result<Option<TableFeed>> {
        match self.exchange {
            Exchange::OneWay => Ok(None),
            Exchange::BothWays => {
                let control = Arc::clone(control);
                TableFeed::start(link.clone(), First::Changes, Box::new(move || control.shared_state())).map(Some)
            }
        }
    }
}

/// Applies what the predecessor sends until it ends, and returns the reason for its end.
fn receive_changes(from: &mut impl io::Read, mut incoming: Incoming, asker: Counted, control: &Control) -> io::Error {
    let mut asker = Some(asker);
    loop {
        match read(from).map(|message| incoming.take(message)) {
            Ok(Some(Message::Idle)) => asker = None,
            Ok(Some(Message::State(state))) => adopt_from_predecessor(control, &state),
            Ok(Some(_) | None) => {}
            Err(end) => {
                drop(asker);
                return end;
            }
        }
    }
}

#[async_trait]
impl BackgroundService for PreparedService {
    async fn start_with_ready_notifier(&self, _shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        fail_at("checked");
        self.0.send(&Message::Prepared);
        fail_at("prepared");
        ready.notify_ready();
    }
}

#[async_trait]
impl BackgroundService for TakeoverService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        self.predecessor.has_sockets.store(true, SeqCst);
        fail_at("taken");
        if let Err(error) = directories::write_pid(&self.runtime_dir) {
            log::error!("cannot write the process id into {}: {error}", self.runtime_dir.display());
        }
        self.control.take_store();
        fail_at("stored");
        self.control.state.serving.readiness.listening().await;
        // The admin socket must be in place before anyone learns that this process serves.
        if let Some(Err(error)) = self.control.state.admin_socket.get().map(|socket| socket.place()) {
            log::error!("{error}");
        }
        fail_at("placed");
        self.predecessor.send(&Message::Serving);
    }
}

/// Ends the process at this step if the environment says so: for tests.
pub fn fail_at(step: &str) {
    if fails_at(step) {
        log::error!("failing at step {step}, as requested");
        std::process::abort();
    }
}

/// Whether the environment says that this step fails.
pub fn fails_at(step: &str) -> bool {
    cfg!(debug_assertions) && std::env::var("BURDOCK_FAIL_AT").is_ok_and(|set| set == step)
}
