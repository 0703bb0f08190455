//! How the process ends: signals, the lame-duck time in which it still accepts, and leaving early once nobody is connected.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::Receiver;

use super::service_manager;
use super::state::State;

/// Waits for the signal that ends the process.
pub struct Signals {
    pub state: Arc<State>,
    pub lame_duck: Duration,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    /// SIGTERM leaves gracefully: for the lame-duck time `/readyz` says no while connections are still accepted, so that
    /// whoever sends traffic here can look elsewhere. SIGQUIT hands over to a successor. SIGINT ends at once.
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut terminate), Ok(mut quit), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::quit()), signal(SignalKind::interrupt()))
        else {
            log::error!("cannot watch for signals; ending");
            return ShutdownSignal::FastShutdown;
        };
        tokio::select! {
            _ = terminate.recv() => self.lame_duck(&mut interrupt).await,
            _ = quit.recv() => {
                self.state.readiness.set_leaving();
                ShutdownSignal::GracefulUpgrade
            }
            _ = interrupt.recv() => ShutdownSignal::FastShutdown,
        }
    }
}

impl Signals {
    async fn lame_duck(&self, interrupt: &mut Signal) -> ShutdownSignal {
        log::info!("leaving: not ready from now on, still accepting for {:?}", self.lame_duck);
        self.state.readiness.set_leaving();
        service_manager::leaving();
        tokio::select! {
            () = tokio::time::sleep(self.lame_duck) => ShutdownSignal::GracefulTerminate,
            _ = interrupt.recv() => ShutdownSignal::FastShutdown,
        }
    }
}

/// Ends the process as soon as it has nothing left to do; Pingora itself would wait for the whole grace time.
pub fn leave_early(state: Arc<State>, mut phases: Receiver<ExecutionPhase>) -> std::io::Result<()> {
    let watch = move || {
        while let Ok(phase) = phases.blocking_recv() {
            if matches!(phase, ExecutionPhase::ShutdownGracePeriod) {
                exit_when_idle(&state);
            }
        }
    };
    std::thread::Builder::new().name("leaving".into()).spawn(watch).map(|_| ())
}

fn exit_when_idle(state: &State) {
    while state.connections.count() > 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    state.close();
    log::info!("the last connection is gone");
    std::process::exit(0);
}

/// Opens the access log anew on SIGUSR1.
pub struct Reopen(pub Arc<State>);

#[async_trait]
impl BackgroundService for Reopen {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let Ok(mut user) = signal(SignalKind::user_defined1()) else {
            log::error!("cannot watch for SIGUSR1: log rotation will not be noticed");
            return;
        };
        loop {
            tokio::select! {
                _ = user.recv() => self.0.access_log.reopen(),
                _ = shutdown.wait_for(|ending| *ending) => return,
            }
        }
    }
}
