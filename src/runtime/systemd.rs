//! Notifications to the service manager (systemd's `sd_notify`): ready, reloading, stopping, and the watchdog. Without
//! `NOTIFY_SOCKET` nothing is sent. It decides nothing: its callers know when to send what.
//!
//! In an upgrade, systemd ignores messages of the new process until this one has made it the main process, by `MAINPID=`. The new
//! process must be started without `WATCHDOG_PID`, which names this one and would disable the new one's watchdog.

use std::sync::OnceLock;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Tests whether the threads that serve clients run their tasks.
#[derive(Debug, Default)]
pub struct Watchdog {
    threads: OnceLock<Handle>,
    found: Notify,
}

/// The process is ready.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// The process is alive.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often to send [`alive`]; none if the watchdog is disabled.
pub fn alive_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(interval)
}

/// A third of the watchdog timeout: one message may be late.
fn interval(timeout: Duration) -> Duration {
    (timeout / 3).max(Duration::from_millis(1))
}

/// A reload begins; [`reloaded`] ends it, whether it succeeded or not.
pub fn reloading() {
    // systemd needs the time since version 253.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

pub fn reloaded() {
    ready();
}

/// The process is shutting down, and no other process has its sockets.
pub fn leaving() {
    send(&[NotifyState::Stopping]);
}

/// Another process is now the service's main process.
pub fn replaced_by(process: u32) {
    send(&[NotifyState::MainPid(process)]);
}

fn send(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        log::warn!(
            "cannot notify the service manager ({}): {error}",
            what.iter().map(ToString::to_string).collect::<String>()
        );
    }
}

impl Watchdog {
    /// Called for each accepted client connection. The first one is our own, which tests that the listeners accept.
    pub fn is_here(&self) {
        if self.threads.get().is_none() {
            self.threads.get_or_init(Handle::current);
            self.found.notify_waiters();
        }
    }

    /// Returns when the threads have run a task; never if they are stuck or have not accepted a connection yet.
    pub async fn alive(&self) {
        // Created before the check: the process may be ready before our own connection is accepted.
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
    fn stuck_threads_are_not_alive() {
        let (serving, asking) = (runtime(), runtime());
        let watchdog = Arc::new(Watchdog::default());
        asking.block_on(async {
            assert!(!is_alive(&watchdog, Duration::from_millis(50)).await, "no connection was accepted");
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
