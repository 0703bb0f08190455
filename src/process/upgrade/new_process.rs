//! The successor's side: receives the tables, reports when it is prepared, and takes over when it has the sockets.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use async_trait::async_trait;
use burdock::table::format::Header;
use parking_lot::Mutex;
use pingora::server::ShutdownWatch;
use pingora::services::ServiceReadyNotifier;
use pingora::services::background::BackgroundService;

use super::socket::{VARIABLE, trusted};
use crate::control::change::Control;
use crate::control::handoff::ProcessHandoff;
use crate::process::upgrade::protocol::{Hello, Message, read};
use crate::process::upgrade::table_feed::receive;
use crate::runtime::directories;

/// Why taking over from the running process has failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot take over from the running process: {0}")]
pub struct NoPredecessor(#[from] io::Error);

/// The process that is still running.
#[derive(Debug)]
pub struct Predecessor {
    stream: Mutex<UnixStream>,
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
        Ok(Some(Self { stream: Mutex::new(stream), has_sockets: AtomicBool::new(false), handoff }))
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
        self.stream.lock().try_clone()
    }

    pub fn send(&self, message: &Message) {
        if let Err(error) = message.send(&mut *self.stream.lock()) {
            log::error!("cannot send a message to the running process: {error}");
        }
    }

    /// Applies the changes of its tables until it ends. If it ends before handing over its sockets, this process exits.
    ///
    /// # Errors
    /// If the limit of threads is reached.
    pub fn follow(self: &Arc<Self>, control: &Arc<Control>) -> io::Result<()> {
        let (predecessor, control, mut from) = (Arc::clone(self), Arc::clone(control), self.reader()?);
        // Its changes reach our own successor through us, so our exit waits for it.
        let guard = control.state.handovers.enter();
        let follow = move || {
            let _guard = guard;
            let end = receive::follow(&mut from, |header, blocks| apply_late(&control, header, blocks));
            if !predecessor.has_sockets.load(SeqCst) {
                log::error!("the running process has ended before the handover ({end}); exiting");
                std::process::exit(1);
            }
            log::info!("the previous process has ended");
        };
        std::thread::Builder::new().name("predecessor".into()).spawn(follow).map(|_| ())
    }
}

/// Applies late changes from the predecessor to their table, if it still exists.
fn apply_late(control: &Control, header: &Header, blocks: &[u8]) {
    if header.key != control.desired().secrets.fingerprints.id() {
        return;
    }
    let serving = &control.state.serving;
    let generation = serving.generation.load();
    let table = generation.balancer.tables().all().find(|table| table.spec().name == header.table);
    if let Some(table) = table {
        receive::apply(blocks, table, serving.clock.moment().now().wall);
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
        self.control.state.serving.readiness.listening().await;
        // The admin socket must be in place before anyone learns that this process serves.
        if let Some(Err(error)) = self.control.state.admin_socket.get().map(|socket| socket.place()) {
            log::error!("{error}");
        }
        self.predecessor.send(&Message::Serving);
    }
}

/// Ends the process at this step if the environment says so: for tests.
pub fn fail_at(step: &str) {
    if cfg!(debug_assertions) && std::env::var("BURDOCK_FAIL_AT").is_ok_and(|set| set == step) {
        log::error!("failing at step {step}, as requested");
        std::process::abort();
    }
}
