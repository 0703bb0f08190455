//! Notifications to the service manager (systemd's `sd_notify`): that we are ready, are reloading, leave, and live. Where none has
//! started us (`NOTIFY_SOCKET` is not set), nothing is sent. It decides nothing: others know when to send what.
//!
//! A process that takes over from this one must become the service's main process first, by `MAINPID=` from here; what that
//! one sends is not heeded before. It is to be started without `WATCHDOG_PID`, which names this one and would silence it.

use std::sync::OnceLock;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Whether the threads that serve clients get to run what they are given.
#[derive(Debug, Default)]
pub struct Watchdog {
    threads: OnceLock<Handle>,
    found: Notify,
}

/// The process is ready.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// The process lives.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is to be sent, if it is.
pub fn alive_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(pause)
}

/// A third of the time after which we are taken for dead: one message may be late.
fn pause(patience: Duration) -> Duration {
    (patience / 3).max(Duration::from_millis(1))
}

/// A reload begins; [`reloaded`] ends it, whatever came of it.
pub fn reloading() {
    // From version 253 on, systemd wants to know when.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

pub fn reloaded() {
    ready();
}

/// The process leaves for good: no successor has its sockets.
pub fn leaving() {
    send(&[NotifyState::Stopping]);
}

/// The service's main process is another one from now on.
pub fn replaced_by(process: u32) {
    send(&[NotifyState::MainPid(process)]);
}

fn send(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        log::warn!(
            "cannot tell the service manager ({}): {error}",
            what.iter().map(ToString::to_string).collect::<String>()
        );
    }
}

impl Watchdog {
    /// Called where clients' connections are served. The first one is our own, by which we know that the listeners accept.
    pub fn is_here(&self) {
        if self.threads.get().is_none() {
            self.threads.get_or_init(Handle::current);
            self.found.notify_waiters();
        }
    }

    /// Comes back when those threads have run a task; never, if they are stuck or nobody has been served.
    pub async fn alive(&self) {
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
    use std::sync::{Arc, mpsc};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    async fn is_alive(watchdog: &Watchdog, within: Duration) -> bool {
        tokio::time::timeout(within, watchdog.alive()).await.is_ok()
    }

    #[test]
    fn threads_that_are_stuck_have_no_pulse() {
        let (serving, asking) = (runtime(), runtime());
        let watchdog = Arc::new(Watchdog::default());
        asking.block_on(async {
            assert!(!is_alive(&watchdog, Duration::from_millis(50)).await, "nobody has been served");
        });
        serving.block_on(async { watchdog.is_here() });
        let (release, stuck) = mpsc::channel::<()>();
        asking.block_on(async {
            assert!(is_alive(&watchdog, Duration::from_secs(20)).await);
            serving.spawn(async move { stuck.recv() });
            assert!(!is_alive(&watchdog, Duration::from_millis(50)).await);
            drop(release);
            assert!(is_alive(&watchdog, Duration::from_secs(20)).await);
        });
    }
}
