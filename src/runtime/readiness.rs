//! Whether this process should receive traffic, and why not.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8};

use tokio::sync::Notify;

/// Whether this process should receive traffic.
#[derive(Debug, Default)]
pub struct Readiness {
    /// The bits of the watchers that are running.
    watching: AtomicU8,
    listening: AtomicBool,
    checked: AtomicBool,
    /// One value rather than two flags, so that no reader sees one flag without the other.
    departure: OnceLock<Departure>,
    handing_over: AtomicBool,
    changed: Notify,
}

/// The watchers of signals.
#[derive(Clone, Copy, Debug)]
pub enum Watcher {
    /// Signals for shutdown and upgrade.
    Ending = 1,
    Reloading = 2,
    Reopening = 4,
}

/// How the process shuts down.
#[derive(Clone, Copy, Debug)]
enum Departure {
    /// No other process accepts in its place.
    ForGood,
    /// The next process accepts in its place.
    Replaced,
}

/// Whether an upgrade is in progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandingOver {
    No,
    UnderWay,
}

/// The state that `/readyz` reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ready {
    Yes,
    /// The listeners do not accept yet.
    NotListening,
    /// The first pass of health checks is not done.
    NotChecked,
    /// The process is shutting down.
    Leaving,
    /// The process is shutting down, and another one accepts in its place.
    Replaced,
}

impl Watcher {
    const ALL: u8 = Self::Ending as u8 | Self::Reloading as u8 | Self::Reopening as u8;
}

impl Readiness {
    /// The readiness of a new process in an upgrade: it got the condition of its servers from the old one.
    pub fn of_successor() -> Self {
        Self { checked: true.into(), ..Self::default() }
    }

    /// This watcher now handles its signals.
    pub fn set_watching(&self, who: Watcher) {
        self.watching.fetch_or(who as u8, Relaxed);
        self.changed.notify_waiters();
    }

    /// The listeners accept. Call it only after [`Self::watching`]: once the process is ready, others may send signals, which
    /// without a watcher would kill the process or be lost.
    pub fn set_listening(&self) {
        self.set(&self.listening);
    }

    /// Whether an upgrade is in progress: the new process would not know of changes made meanwhile.
    pub fn is_handing_over(&self) -> bool {
        self.handing_over.load(SeqCst)
    }

    pub fn set_handing_over(&self, under_way: HandingOver) {
        self.handing_over.store(under_way == HandingOver::UnderWay, SeqCst);
    }

    pub fn set_checked(&self) {
        self.set(&self.checked);
    }

    pub fn set_leaving(&self) {
        self.depart(Departure::ForGood);
    }

    /// Another process now accepts.
    pub fn set_replaced(&self) {
        self.depart(Departure::Replaced);
    }

    /// Only the first call has an effect.
    fn depart(&self, how: Departure) {
        let _ = self.departure.set(how);
        self.changed.notify_waiters();
    }

    fn set(&self, what: &AtomicBool) {
        what.store(true, Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until all signals are watched for.
    pub async fn watching(&self) {
        self.wait_for(|| self.watching.load(Relaxed) == Watcher::ALL).await;
    }

    /// Waits until the listeners accept.
    pub async fn listening(&self) {
        self.wait_for(|| self.listening.load(Relaxed)).await;
    }

    async fn wait_for(&self, condition: impl Fn() -> bool) {
        loop {
            // Created before the check, so that no change after it is missed.
            let changed = self.changed.notified();
            if condition() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until the process is ready, or shuts down before that.
    pub async fn settled(&self) -> Ready {
        loop {
            let changed = self.changed.notified();
            match self.now() {
                ready @ (Ready::Yes | Ready::Leaving | Ready::Replaced) => return ready,
                Ready::NotListening | Ready::NotChecked => changed.await,
            }
        }
    }

    /// Whether the process is shutting down: connections close after the current request.
    pub fn is_leaving(&self) -> bool {
        self.departure.get().is_some()
    }

    pub fn now(&self) -> Ready {
        if let Some(departure) = self.departure.get() {
            departure.answer()
        } else if !self.listening.load(Relaxed) {
            Ready::NotListening
        } else if !self.checked.load(Relaxed) {
            Ready::NotChecked
        } else {
            Ready::Yes
        }
    }
}

impl Departure {
    fn answer(self) -> Ready {
        match self {
            Self::ForGood => Ready::Leaving,
            Self::Replaced => Ready::Replaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn replaced_process_never_reports_leaving() {
        let processes: Vec<Readiness> = std::iter::repeat_with(Readiness::default).take(100_000).collect();
        let (read, mut seen) = (AtomicUsize::new(0), Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (at, readiness) in processes.iter().enumerate() {
                    while read.load(SeqCst) <= at {}
                    readiness.set_replaced();
                }
            });
            for readiness in &processes {
                read.fetch_add(1, SeqCst);
                let mut answers = std::iter::repeat_with(|| readiness.now());
                seen.extend(answers.find(|ready| *ready != Ready::NotListening));
            }
        });
        let wrong = seen.iter().filter(|ready| **ready != Ready::Replaced).count();
        assert_eq!((seen.len(), wrong), (processes.len(), 0));
    }
}
