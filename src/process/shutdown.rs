//! How the process ends: signals, the lame-duck time in which it still accepts, and leaving early once nobody is connected.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::client::connections::LINGER;
use crate::control::change::Control;
use crate::control::state::ProcessState;
use crate::control::upgrade_request::{UpgradeAnswer, UpgradeError, UpgradeRequest};
use crate::process::upgrade::old_process::Successor;
use crate::process::upgrade::spawn::Program;
use crate::runtime::readiness::{HandingOver, Ready, Watcher};
use crate::runtime::systemd;

/// Waits for what ends the process.
pub struct Signals {
    pub control: Arc<Control>,
    pub lame_duck: Duration,
    pub program: Program,
    pub runtime_dir: PathBuf,
    /// Where successors are asked for.
    pub asked: Mutex<mpsc::Receiver<UpgradeRequest>>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    /// SIGTERM leaves gracefully: for the lame-duck time `/readyz` says no while connections are still accepted, so that
    /// whoever sends traffic here can look elsewhere. SIGQUIT and SIGUSR2 hand over to a successor, if there can be one, and
    /// so does the API. SIGINT ends at once, and so does SIGTERM once the process is leaving.
    async fn recv(&self) -> ShutdownSignal {
        let mut signals = match Watched::new() {
            Ok(signals) => signals,
            Err(error) => {
                log::error!("cannot watch for signals ({error}); ending");
                return ShutdownSignal::FastShutdown;
            }
        };
        self.control.state.serving.readiness.set_watching(Watcher::Ending);
        let mut asked = self.asked.lock().await;
        let left = loop {
            let event = signals.next(&mut asked).await;
            match event {
                Event::Terminate => break self.lame_duck(&mut signals).await,
                Event::Interrupt => break ShutdownSignal::FastShutdown,
                Event::Successor(request) => {
                    if let Some(left) = self.hand_over(request, &mut signals, &mut asked).await {
                        break left;
                    }
                }
            }
        };
        tokio::spawn(end_on(signals, Arc::clone(&self.control.state)));
        left
    }
}

/// The signals that end the process or have to do with it.
struct Watched {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    user: Signal,
}

/// What was told.
enum Event {
    Terminate,
    Interrupt,
    Successor(UpgradeRequest),
}

impl Watched {
    fn new() -> std::io::Result<Self> {
        // They would end the process until those begin to watch who act on them.
        drop(signal(SignalKind::hangup())?);
        drop(signal(SignalKind::user_defined1())?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            user: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self, asked: &mut mpsc::Receiver<UpgradeRequest>) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Terminate,
            _ = self.interrupt.recv() => Event::Interrupt,
            _ = self.quit.recv() => Event::Successor(UpgradeRequest::default()),
            _ = self.user.recv() => Event::Successor(UpgradeRequest::default()),
            Some(asked) = asked.recv() => Event::Successor(asked),
        }
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A process that leaves already ends at once when it is told again.
async fn end_on(mut signals: Watched, state: Arc<ProcessState>) {
    signals.end().await;
    log::info!("told again: ending now");
    state.close();
    std::process::exit(0);
}

impl Signals {
    async fn lame_duck(&self, signals: &mut Watched) -> ShutdownSignal {
        log::info!("leaving: not ready from now on, still accepting for {:?}", self.lame_duck);
        self.control.state.serving.readiness.set_leaving();
        systemd::leaving();
        tokio::select! {
            () = tokio::time::sleep(self.lame_duck) => ShutdownSignal::GracefulTerminate,
            () = signals.end() => ShutdownSignal::FastShutdown,
        }
    }

    /// Prepares a successor. None: there is none, and everything is as it was.
    async fn hand_over(
        &self,
        mut request: UpgradeRequest,
        signals: &mut Watched,
        asked: &mut mpsc::Receiver<UpgradeRequest>,
    ) -> Option<ShutdownSignal> {
        let answer = request.answer.take();
        let mut preparing = self.prepare(request);
        let prepared = loop {
            tokio::select! {
                prepared = &mut preparing => break prepared,
                event = signals.next(asked) => match event {
                    Event::Successor(another) => another.refuse(UpgradeError::UnderWay),
                    // What is being prepared ends as the process does: it hears of that.
                    Event::Terminate => return Some(self.give_up(answer, signals).await),
                    Event::Interrupt => return Some(ShutdownSignal::FastShutdown),
                },
            }
        };
        match prepared.unwrap_or_else(|error| Err(UpgradeError::Talk(error.into()))) {
            Ok(successor) => {
                log::info!("the new process is prepared: it gets the listening sockets");
                self.control.state.serving.readiness.set_replaced();
                let state = Arc::clone(&self.control.state);
                let feed = Arc::clone(successor.feed());
                let settle = move || {
                    feed.await_changes();
                    state.storage.release();
                };
                let _ = tokio::task::spawn_blocking(settle).await;
                successor.let_go(answer, Arc::clone(&self.control.state));
                Some(ShutdownSignal::GracefulUpgrade)
            }
            Err(failed) => {
                self.resume().await;
                UpgradeRequest { answer, ..UpgradeRequest::default() }.refuse(failed);
                None
            }
        }
    }

    fn prepare(&self, request: UpgradeRequest) -> JoinHandle<Result<Successor, UpgradeError>> {
        let (control, program, runtime_dir) = (Arc::clone(&self.control), self.program.clone(), self.runtime_dir.clone());
        tokio::task::spawn_blocking(move || {
            control.set_handing_over(HandingOver::UnderWay);
            // What is under way would come to the disk over what the successor writes there.
            let patience = request.timing.0.min(SETTLED);
            if !control.is_settled_within(patience) {
                return Err(UpgradeError::Unwritten(patience));
            }
            Successor::prepare(&program, &runtime_dir, &request, &control)
        })
    }

    async fn resume(&self) {
        let control = Arc::clone(&self.control);
        let _ = tokio::task::spawn_blocking(move || control.set_handing_over(HandingOver::No)).await;
    }

    async fn give_up(&self, answer: Option<UpgradeAnswer>, signals: &mut Watched) -> ShutdownSignal {
        UpgradeRequest { answer, ..UpgradeRequest::default() }.refuse(UpgradeError::Leaving);
        self.lame_duck(signals).await
    }
}

/// So long an upgrade waits for what was changed before to be on disk.
const SETTLED: Duration = Duration::from_secs(20);

/// So long whoever still asks at the admin address, a scrape or a probe, may take: those who wait there for a change do not
/// keep the process.
const ANSWERED: Duration = LINGER.saturating_mul(2);

/// Ends the process as soon as it has nothing left to do; Pingora itself would wait for the whole grace time.
pub fn leave_early(state: Arc<ProcessState>, mut phases: Receiver<ExecutionPhase>) -> std::io::Result<()> {
    let watch = move || {
        while let Ok(phase) = phases.blocking_recv() {
            if matches!(phase, ExecutionPhase::ShutdownGracePeriod) {
                exit_when_idle(&state);
            }
        }
    };
    std::thread::Builder::new().name("leaving".into()).spawn(watch).map(|_| ())
}

fn exit_when_idle(state: &ProcessState) -> ! {
    state.serving.connections.wait_for_the_last(Duration::MAX);
    log::info!("the last connection is gone");
    match state.serving.readiness.now() {
        Ready::Replaced => state.handovers.wait_for_the_last(Duration::MAX),
        Ready::Yes | Ready::NotListening | Ready::NotChecked | Ready::Leaving => {}
    }
    state.admin_connections.wait_for_the_last(ANSWERED);
    state.close();
    std::process::exit(0);
}

/// Opens the access log anew on SIGUSR1.
pub struct Reopen(pub Arc<ProcessState>);

#[async_trait]
impl BackgroundService for Reopen {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let user = signal(SignalKind::user_defined1());
        self.0.serving.readiness.set_watching(Watcher::Reopening);
        let Ok(mut user) = user else {
            log::error!("cannot watch for SIGUSR1: log rotation will not be noticed");
            return;
        };
        loop {
            tokio::select! {
                _ = user.recv() => self.0.serving.access_log.reopen(),
                _ = shutdown.wait_for(|ending| *ending) => return,
            }
        }
    }
}
