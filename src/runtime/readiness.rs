//! Whether this process should be sent traffic, and why not.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8};

use tokio::sync::Notify;

/// Whether this process should be sent traffic.
#[derive(Debug, Default)]
pub struct Readiness {
    /// Bits of those who watch for signals.
    watching: AtomicU8,
    listening: AtomicBool,
    checked: AtomicBool,
    /// One value, and not two flags: whoever looks meanwhile must not see the one without the other.
    departure: OnceLock<Departure>,
    handing_over: AtomicBool,
    changed: Notify,
}

/// Who acts on signals.
#[derive(Clone, Copy, Debug)]
pub enum Watcher {
    /// What ends the process, or asks for a successor.
    Ending = 1,
    Reloading = 2,
    Reopening = 4,
}

/// How the process leaves.
#[derive(Clone, Copy, Debug)]
enum Departure {
    /// Nobody accepts in its place.
    ForGood,
    /// A successor does.
    Replaced,
}

/// Whether a successor is being prepared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandingOver {
    No,
    UnderWay,
}

/// The answer of `/readyz`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ready {
    Yes,
    /// The listeners do not accept yet.
    NotListening,
    /// The first health pass is not done.
    NotChecked,
    /// The process is on its way out.
    Leaving,
    /// So it is, and another one accepts in its place.
    Replaced,
}

impl Watcher {
    const ALL: u8 = Self::Ending as u8 | Self::Reloading as u8 | Self::Reopening as u8;
}

impl Readiness {
    /// That of a process that takes over: the condition of its servers has been handed to it, whether or not they answer now.
    pub fn of_successor() -> Self {
        Self { checked: true.into(), ..Self::default() }
    }

    /// Signals from now on reach this one.
    pub fn set_watching(&self, who: Watcher) {
        self.watching.fetch_or(who as u8, Relaxed);
        self.changed.notify_waiters();
    }

    /// The listeners accept. Not to be said before [`Self::watching`]: whoever hears that we are ready may send signals, which
    /// would end the process out of order, or be lost.
    pub fn set_listening(&self) {
        self.set(&self.listening);
    }

    /// Whether a successor is being prepared: it would not know of what changes meanwhile.
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

    /// Another process accepts from now on.
    pub fn set_replaced(&self) {
        self.depart(Departure::Replaced);
    }

    /// It does so in one way: whatever comes later changes nothing.
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

    async fn wait_for(&self, so: impl Fn() -> bool) {
        loop {
            // Before looking: what changes from here on is noticed.
            let changed = self.changed.notified();
            if so() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until the process is ready, or leaves before it ever was.
    pub async fn settled(&self) -> Ready {
        loop {
            let changed = self.changed.notified();
            match self.now() {
                ready @ (Ready::Yes | Ready::Leaving | Ready::Replaced) => return ready,
                Ready::NotListening | Ready::NotChecked => changed.await,
            }
        }
    }

    /// Whether connections are to be closed after the request under way.
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
    fn whoever_looks_while_a_successor_takes_over_does_not_see_a_process_that_leaves_for_good() {
        let processes: Vec<Readiness> = std::iter::repeat_with(Readiness::default).take(100_000).collect();
        let (looked_at, mut seen) = (AtomicUsize::new(0), Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (at, readiness) in processes.iter().enumerate() {
                    while looked_at.load(SeqCst) <= at {}
                    readiness.set_replaced();
                }
            });
            for readiness in &processes {
                looked_at.fetch_add(1, SeqCst);
                let mut answers = std::iter::repeat_with(|| readiness.now());
                seen.extend(answers.find(|ready| *ready != Ready::NotListening));
            }
        });
        let otherwise = seen.iter().filter(|ready| **ready != Ready::Replaced).count();
        assert_eq!((seen.len(), otherwise), (processes.len(), 0));
    }
}
