//! The successor's side: takes the tables, says when it is prepared, and takes its place when the sockets have come.

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

/// Why there is nothing to take over.
#[derive(Debug, thiserror::Error)]
#[error("cannot take over from the running process: {0}")]
pub struct NoPredecessor(#[from] io::Error);

/// The process that runs still.
#[derive(Debug)]
pub struct Predecessor {
    stream: Mutex<UnixStream>,
    /// Whether its sockets are ours.
    taken: AtomicBool,
    /// What it knew when it started us; None where that is not understood.
    pub handoff: Option<ProcessHandoff>,
}

/// Tells the predecessor that nothing is missing but its sockets, when nothing is.
pub struct Prepared(pub Arc<Predecessor>);

/// Takes its place when they are there.
pub struct Taken {
    pub predecessor: Arc<Predecessor>,
    pub control: Arc<Control>,
    pub runtime_dir: PathBuf,
}

/// Tells the process that has started us to take over from it, if one has, why we do not.
pub fn decline(reason: &str) {
    let Some(path) = std::env::var_os(VARIABLE) else { return };
    let told = UnixStream::connect(Path::new(&path)).and_then(trusted).and_then(|mut stream| {
        Message::Refused(reason.to_owned()).send(&mut stream)?;
        // It says hello, and finds a closed socket if we have gone by then.
        read(&mut stream)
    });
    if let Err(error) = told {
        log::error!("cannot tell the running process anything: {error}");
    }
}

impl Predecessor {
    /// The one that has started us, if one has.
    ///
    /// # Errors
    /// If it cannot be talked to.
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
        Ok(Some(Self { stream: Mutex::new(stream), taken: AtomicBool::new(false), handoff }))
    }

    /// Where it listens; nowhere, where it does not tell us.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.handoff.as_ref().map_or(&[], |handoff| &handoff.addresses)
    }

    /// What it says.
    ///
    /// # Errors
    /// If there can be no more files.
    pub fn reader(&self) -> io::Result<UnixStream> {
        self.stream.lock().try_clone()
    }

    pub fn send(&self, message: &Message) {
        if let Err(error) = message.send(&mut *self.stream.lock()) {
            log::error!("cannot tell the running process anything: {error}");
        }
    }

    /// Takes in the changes of its tables until it ends. If that is before its sockets are ours, there is nothing to take over.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn follow(self: &Arc<Self>, control: &Arc<Control>) -> io::Result<()> {
        let (predecessor, control, mut from) = (Arc::clone(self), Arc::clone(control), self.reader()?);
        // What it tells us reaches our own successor through us.
        let heard = control.state.handovers.enter();
        let follow = move || {
            let _heard = heard;
            let end = receive::follow(&mut from, |header, blocks| take_in(&control, header, blocks));
            if !predecessor.taken.load(SeqCst) {
                log::error!("the process that was to hand over has gone ({end}); ending");
                std::process::exit(1);
            }
            log::info!("the process before this one has ended");
        };
        std::thread::Builder::new().name("predecessor".into()).spawn(follow).map(|_| ())
    }
}

/// Puts what the predecessor sends late into the table that it is of, if there is that still.
fn take_in(control: &Control, header: &Header, blocks: &[u8]) {
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
impl BackgroundService for Prepared {
    async fn start_with_ready_notifier(&self, _shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        fail_at("checked");
        self.0.send(&Message::Prepared);
        fail_at("prepared");
        ready.notify_ready();
    }
}

#[async_trait]
impl BackgroundService for Taken {
    async fn start(&self, _shutdown: ShutdownWatch) {
        self.predecessor.taken.store(true, SeqCst);
        fail_at("taken");
        if let Err(error) = directories::write_pid(&self.runtime_dir) {
            log::error!("cannot write the process id into {}: {error}", self.runtime_dir.display());
        }
        self.control.take_store();
        self.control.state.serving.readiness.listening().await;
        // Whoever hears that we serve finds us there.
        if let Some(Err(error)) = self.control.state.admin_socket.get().map(|socket| socket.place()) {
            log::error!("{error}");
        }
        self.predecessor.send(&Message::Serving);
    }
}

/// Ends the process at this step if the environment says so: for tests.
pub fn fail_at(step: &str) {
    if cfg!(debug_assertions) && std::env::var("BURDOCK_FAIL_AT").is_ok_and(|set| set == step) {
        log::error!("failing at {step}, as told");
        std::process::abort();
    }
}
