//! What the service manager is told (systemd's `sd_notify`): that we are ready, are reloading, leave, and live. Where none has
//! started us (`NOTIFY_SOCKET` is not set), nothing is told to anybody. It decides nothing: it follows [`Readiness`].
//!
//! A process that takes over from this one must become the service's main process first, by `MAINPID=` from here; what that
//! one says is not heard before. It is to be started without `WATCHDOG_PID`, which names this one and would silence it.
//!
//! [`Readiness`]: crate::runtime::readiness::Readiness

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::runtime::readiness::Ready;
use crate::serve::state::State;

/// Says that the process is ready, and from then on that it lives.
pub struct Telling(pub Arc<State>);

/// Whether the threads that serve clients get to run what they are given.
#[derive(Debug, Default)]
pub struct Pulse {
    threads: OnceLock<Handle>,
    found: Notify,
}

#[async_trait]
impl BackgroundService for Telling {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        tokio::select! {
            () = live(&self.0) => {}
            _ = shutdown.wait_for(|ending| *ending) => {}
        }
    }
}

async fn live(state: &State) {
    match state.readiness.settled().await {
        Ready::Yes => tell(&[NotifyState::Ready]),
        Ready::Leaving | Ready::Succeeded | Ready::NotListening | Ready::NotChecked => return,
    }
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let every = pause(patience);
    loop {
        state.pulse.felt().await;
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(every).await;
    }
}

/// A third of the time after which we are taken for dead: one message may be late.
fn pause(patience: Duration) -> Duration {
    (patience / 3).max(Duration::from_millis(1))
}

/// A reload begins; [`reloaded`] ends it, whatever came of it.
pub fn reloading() {
    // From version 253 on, systemd wants to know when.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// The process leaves for good: no successor has its sockets.
pub fn leaving() {
    tell(&[NotifyState::Stopping]);
}

/// The service's main process is another one from now on.
pub fn succeeded_by(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        log::warn!(
            "cannot tell the service manager ({}): {error}",
            what.iter().map(ToString::to_string).collect::<String>()
        );
    }
}

impl Pulse {
    /// Called where clients' connections are served. The first one is our own, by which we know that the listeners accept.
    pub fn is_here(&self) {
        if self.threads.get().is_none() {
            self.threads.get_or_init(Handle::current);
            self.found.notify_waiters();
        }
    }

    /// Comes back when those threads have run a task; never, if they are stuck or nobody has been served.
    async fn felt(&self) {
        // Before looking: we may be ready before our own connection has been taken up.
        let found = self.found.notified();
        if self.threads.get().is_none() {
            found.await;
        }
        if let Some(threads) = self.threads.get() {
            let _ = threads.spawn(std::future::ready(())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    async fn is_felt(pulse: &Pulse, within: Duration) -> bool {
        tokio::time::timeout(within, pulse.felt()).await.is_ok()
    }

    #[test]
    fn threads_that_are_stuck_have_no_pulse() {
        let (serving, asking) = (runtime(), runtime());
        let pulse = Arc::new(Pulse::default());
        asking.block_on(async {
            assert!(!is_felt(&pulse, Duration::from_millis(50)).await, "nobody has been served");
        });
        serving.block_on(async { pulse.is_here() });
        let (release, stuck) = mpsc::channel::<()>();
        asking.block_on(async {
            assert!(is_felt(&pulse, Duration::from_secs(20)).await);
            serving.spawn(async move { stuck.recv() });
            assert!(!is_felt(&pulse, Duration::from_millis(50)).await);
            drop(release);
            assert!(is_felt(&pulse, Duration::from_secs(20)).await);
        });
    }
}
