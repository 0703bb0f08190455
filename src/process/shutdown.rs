//! Shutdown: signals, the lame-duck time during which the process still accepts, and an early exit after the last connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::{Mutex, mpsc};

use crate::client::connections::LINGER;
use crate::control::change::Control;
use crate::control::state::ProcessState;
use crate::control::upgrade_request::{UpgradeAnswer, UpgradeError, UpgradeRequest};
use crate::process::signals::{Event, Outcome, SignalStreams, Work};
use crate::process::upgrade::listening_sockets::ListeningSockets;
use crate::process::upgrade::old_process::{Possessions, Successor};
use crate::process::upgrade::spawn::Program;
use crate::runtime::readiness::{HandingOver, Ready, Watcher};
use crate::runtime::systemd;

/// Waits for the signal or request that ends the process.
pub struct Signals {
    pub control: Arc<Control>,
    pub lame_duck: Duration,
    pub program: Program,
    pub runtime_dir: PathBuf,
    pub sockets: ListeningSockets,
    /// Upgrade requests of the API.
    pub requests: Mutex<mpsc::Receiver<UpgradeRequest>>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    /// SIGTERM starts a graceful shutdown: for the lame-duck time `/readyz` fails while connections are still accepted, so that
    /// load balancers in front can send traffic elsewhere. SIGQUIT, SIGUSR2 and the API upgrade to a new process, if one can be
    /// started. SIGINT ends the process at once, and so does a second SIGTERM.
    async fn recv(&self) -> ShutdownSignal {
        let mut signals = match SignalStreams::new() {
            Ok(signals) => signals,
            Err(error) => {
                log::error!("cannot handle signals ({error}); exiting");
                return ShutdownSignal::FastShutdown;
            }
        };
        self.control.state.serving.readiness.set_watching(Watcher::Ending);
        let mut requests = self.requests.lock().await;
        let shutdown = loop {
            let event = signals.next(&mut requests).await;
            match event {
                Event::Terminate => break self.lame_duck(&mut signals).await,
                Event::Interrupt => break ShutdownSignal::FastShutdown,
                Event::Successor(request) => {
                    if let Some(shutdown) = self.hand_over(request, &mut signals, &mut requests).await {
                        break shutdown;
                    }
                }
            }
        };
        tokio::spawn(exit_on_second_signal(signals, Arc::clone(&self.control.state)));
        shutdown
    }
}

/// While the process is shutting down, a second signal ends it at once.
async fn exit_on_second_signal(mut signals: SignalStreams, state: Arc<ProcessState>) {
    let signal = signals.end().await;
    log::info!("{signal} during shutdown: exiting now");
    state.close();
    std::process::exit(0);
}

/// Whether SIGTERM came during a step that could not be broken off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Terminated {
    Yes,
    No,
}

impl Signals {
    async fn lame_duck(&self, signals: &mut SignalStreams) -> ShutdownSignal {
        log::info!("shutting down: not ready from now on, still accepting for {:?}", self.lame_duck);
        self.control.state.serving.readiness.set_leaving();
        systemd::leaving();
        tokio::select! {
            () = tokio::time::sleep(self.lame_duck) => ShutdownSignal::GracefulTerminate,
            _ = signals.end() => ShutdownSignal::FastShutdown,
        }
    }

    /// Prepares a successor. None: that has failed, and the process continues unchanged.
    async fn hand_over(
        &self,
        mut request: UpgradeRequest,
        signals: &mut SignalStreams,
        requests: &mut mpsc::Receiver<UpgradeRequest>,
    ) -> Option<ShutdownSignal> {
        let answer = request.answer.take();
        let successor = match self.prepare(request).outcome(signals, requests).await {
            Outcome::Done(Ok(successor)) => successor,
            Outcome::Done(Err(failed)) => {
                self.resume(answer, failed).await;
                return None;
            }
            // The successor being prepared notices that this process ends, and ends too.
            Outcome::Terminated => return Some(self.give_up(answer, signals).await),
            Outcome::Interrupted => return Some(ShutdownSignal::FastShutdown),
        };
        log::info!("the new process is prepared: handing over the listening sockets");
        let (mut giving, mut terminated) = (self.give_sockets(successor), Terminated::No);
        let served = loop {
            match giving.outcome(signals, requests).await {
                Outcome::Done(served) => break served,
                // Only when it is known which process serves.
                Outcome::Terminated => terminated = Terminated::Yes,
                Outcome::Interrupted => return Some(ShutdownSignal::FastShutdown),
            }
        };
        match (served, terminated) {
            (Ok(id), _) => {
                answer.into_iter().for_each(|answer| _ = answer.send(Ok(id)));
                // The successor accepts, so this process stops at once.
                Some(ShutdownSignal::GracefulTerminate)
            }
            (Err(failed), terminated) => {
                self.resume(answer, failed).await;
                match terminated {
                    Terminated::Yes => Some(self.lame_duck(signals).await),
                    Terminated::No => None,
                }
            }
        }
    }

    /// Gives a prepared successor the listening sockets, and returns its process id when it serves. If it fails, everything is as
    /// before.
    fn give_sockets(&self, successor: Successor) -> Work<u32> {
        let (control, sockets, runtime_dir) = (Arc::clone(&self.control), self.sockets.clone(), self.runtime_dir.clone());
        Work(tokio::task::spawn_blocking(move || give_sockets(successor, &control, &sockets, &runtime_dir)))
    }

    fn prepare(&self, request: UpgradeRequest) -> Work<Successor> {
        let (control, program, runtime_dir) = (Arc::clone(&self.control), self.program.clone(), self.runtime_dir.clone());
        Work(tokio::task::spawn_blocking(move || {
            control.set_handing_over(HandingOver::UnderWay);
            // Writes in progress would overwrite what the successor writes to disk.
            let timeout = request.timing.0.min(SETTLE_TIMEOUT);
            if !control.is_settled_within(timeout) {
                return Err(UpgradeError::Unwritten(timeout));
            }
            Successor::prepare(&program, &runtime_dir, &request, &control)
        }))
    }

    async fn resume(&self, answer: Option<UpgradeAnswer>, failed: UpgradeError) {
        let control = Arc::clone(&self.control);
        let _ = tokio::task::spawn_blocking(move || control.set_handing_over(HandingOver::No)).await;
        UpgradeRequest { answer, ..UpgradeRequest::default() }.refuse(failed);
    }

    async fn give_up(&self, answer: Option<UpgradeAnswer>, signals: &mut SignalStreams) -> ShutdownSignal {
        UpgradeRequest { answer, ..UpgradeRequest::default() }.refuse(UpgradeError::Leaving);
        self.lame_duck(signals).await
    }
}

fn give_sockets(
    mut successor: Successor,
    control: &Control,
    sockets: &ListeningSockets,
    runtime_dir: &Path,
) -> Result<u32, UpgradeError> {
    let state = &control.state;
    let possessions = Possessions { state, control, runtime_dir };
    if let Err(failed) = successor.hand_over(sockets, &possessions) {
        // It must have ended before its possessions can be taken back.
        drop(successor);
        possessions.take_back();
        return Err(failed);
    }
    possessions.leave();
    state.serving.readiness.set_replaced();
    let id = successor.let_go(state);
    log::info!("process {id} has taken over");
    systemd::replaced_by(id);
    Ok(id)
}

/// How long an upgrade waits until earlier overrides are on disk.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the exit waits for open admin connections, such as a scrape or a probe. Clients that wait there for a change do not
/// delay it longer.
const ADMIN_TIMEOUT: Duration = LINGER.saturating_mul(2);

/// Ends the process as soon as it is idle; Pingora itself would wait for the whole grace period.
pub fn exit_early(state: Arc<ProcessState>, mut phases: Receiver<ExecutionPhase>) -> std::io::Result<()> {
    let watch = move || {
        while let Ok(phase) = phases.blocking_recv() {
            if matches!(phase, ExecutionPhase::ShutdownGracePeriod) {
                exit_when_idle(&state);
            }
        }
    };
    std::thread::Builder::new().name("leaving".into()).spawn(watch).map(|_| ())
}

/// Tells the process that has taken over when no more requests can come here.
fn report_idle(state: &Arc<ProcessState>) {
    let state = Arc::clone(state);
    let report = move || {
        state.serving.askers.wait_for_the_last(Duration::MAX);
        state.followers.lock().iter().for_each(|follower| follower.idle());
    };
    if let Err(error) = std::thread::Builder::new().name("idle".into()).spawn(report) {
        log::warn!("the new process will wait for this one until it ends: {error}");
    }
}

fn exit_when_idle(state: &Arc<ProcessState>) -> ! {
    if state.serving.readiness.now() == Ready::Replaced {
        report_idle(state);
    }
    state.serving.connections.wait_for_the_last(Duration::MAX);
    log::info!("the last connection is gone");
    match state.serving.readiness.now() {
        Ready::Replaced => state.handovers.wait_for_the_last(Duration::MAX),
        Ready::Yes | Ready::NotListening | Ready::NotChecked | Ready::Leaving => {}
    }
    state.admin_connections.wait_for_the_last(ADMIN_TIMEOUT);
    state.close();
    std::process::exit(0);
}

/// Reopens the access log on SIGUSR1.
pub struct LogReopenService(pub Arc<ProcessState>);

#[async_trait]
impl BackgroundService for LogReopenService {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let user = signal(SignalKind::user_defined1());
        self.0.serving.readiness.set_watching(Watcher::Reopening);
        let Ok(mut user) = user else {
            log::error!("cannot handle SIGUSR1: the access log cannot be reopened after rotation");
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
