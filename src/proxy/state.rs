//! What every request of the process shares.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::config::settings::Listener;
use tokio::sync::{Notify, mpsc, watch};

use super::access_log::AccessLog;
use super::admin::{Access, Socket};
use super::clock::Clock;
use super::cut::Cuts;
use super::handover::Asked;
use super::metrics::Metrics;
use super::service_manager::Pulse;
use super::sessions::Sessions;
use super::snapshot::Snapshot;

#[derive(Debug)]
pub struct State {
    pub clock: Clock,
    pub listeners: Vec<Listener>,
    pub snapshot: ArcSwap<Snapshot>,
    /// Tells those who follow the configuration that `snapshot` is another one; the value counts them.
    pub published: watch::Sender<u64>,
    /// Whether every name has been looked up once.
    pub first_answers: watch::Sender<FirstAnswers>,
    pub metrics: Metrics,
    pub cuts: Arc<Cuts>,
    pub access_log: AccessLog,
    pub connections: Connections,
    pub readiness: Readiness,
    pub pulse: Pulse,
    pub sessions: Sessions,
    /// What opens the API at the admin address.
    pub access: Access,
    /// Where the API is served beside that, if it is.
    pub admin_socket: OnceLock<Arc<Socket>>,
    /// Where a successor is asked for.
    pub successors: mpsc::Sender<Asked>,
}

/// Whether servers that are found by name have been asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FirstAnswers {
    #[default]
    Awaited,
    /// Each name has answered, or failed to.
    There,
}

impl State {
    /// What is to be done before the process ends, as the last thing.
    pub fn close(&self) {
        self.sessions.close();
        self.access_log.flush();
        self.admin_socket.get().into_iter().for_each(|socket| socket.remove());
    }

    /// Lets another configuration come into force.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let earlier = self.snapshot.swap(Arc::clone(&snapshot));
        snapshot.balancer.in_force(&earlier.balancer, self.clock.moment().now());
        self.published.send_modify(|published| *published += 1);
    }
}

/// How often it is looked whether the last connection is gone.
const GLANCE: Duration = Duration::from_millis(50);

/// How many client connections there are.
#[derive(Debug, Default)]
pub struct Connections {
    count: Arc<AtomicUsize>,
    closed: AtomicBool,
}

/// One of them, until dropped.
#[derive(Debug)]
pub struct Counted(Arc<AtomicUsize>);

/// Whether this process should be sent traffic.
#[derive(Debug, Default)]
pub struct Readiness {
    watching: AtomicBool,
    listening: AtomicBool,
    checked: AtomicBool,
    leaving: AtomicBool,
    succeeded: AtomicBool,
    handing_over: AtomicBool,
    changed: Notify,
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
    /// The listeners do not accept yet, or nobody watches for signals, which would end the process out of order.
    NotListening,
    /// The first health pass is not done.
    NotChecked,
    /// The process is on its way out.
    Leaving,
    /// So it is, and another one accepts in its place.
    Succeeded,
}

impl Connections {
    pub fn enter(&self) -> Counted {
        self.count.fetch_add(1, Relaxed);
        Counted(Arc::clone(&self.count))
    }

    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// No more are accepted.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Waits until no more are accepted and the last is gone, for so many glances at most. One that was accepted at the end is
    /// counted a moment later, so there must be none twice.
    pub fn wait_for_the_last(&self, glances: u32) {
        let mut none_before = false;
        for _ in 0..glances {
            let none = self.closed.load(Relaxed) && self.count() == 0;
            if none && none_before {
                return;
            }
            none_before = none;
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Readiness {
    pub fn set_watching(&self) {
        self.set(&self.watching);
    }

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
        self.set(&self.leaving);
    }

    /// Another process accepts from now on.
    pub fn set_succeeded(&self) {
        self.succeeded.store(true, Relaxed);
        self.set_leaving();
    }

    fn set(&self, what: &AtomicBool) {
        what.store(true, Relaxed);
        self.changed.notify_waiters();
    }

    /// Waits until the listeners accept.
    pub async fn listening(&self) {
        loop {
            let changed = self.changed.notified();
            if self.listening.load(Relaxed) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until the process is ready, or leaves before it ever was.
    pub async fn settled(&self) -> Ready {
        loop {
            // Before looking: what changes from here on is noticed.
            let changed = self.changed.notified();
            match self.now() {
                ready @ (Ready::Yes | Ready::Leaving | Ready::Succeeded) => return ready,
                Ready::NotListening | Ready::NotChecked => changed.await,
            }
        }
    }

    /// Whether connections are to be closed after the request under way.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    pub fn now(&self) -> Ready {
        if self.succeeded.load(Relaxed) {
            Ready::Succeeded
        } else if self.leaving.load(Relaxed) {
            Ready::Leaving
        } else if !(self.listening.load(Relaxed) && self.watching.load(Relaxed)) {
            Ready::NotListening
        } else if !self.checked.load(Relaxed) {
            Ready::NotChecked
        } else {
            Ready::Yes
        }
    }
}

#[cfg(test)]
pub mod fixture {
    //! A state without a process around it.

    use std::path::Path;

    use burdock::config::Config;
    use burdock::config::settings::LogTarget;
    use burdock::sticky::table::FingerprintKey;
    use burdock::sticky::token::keys::{Key, KeyRing};
    use burdock::sticky::token::secrets::Secrets;

    use super::*;
    use crate::proxy::control::Desired;
    use crate::proxy::start;

    pub fn secrets() -> Secrets {
        let keys = KeyRing::new(vec![Key::generate(&mut rand::rng())]).unwrap();
        Secrets::new(keys, FingerprintKey::generate(&mut rand::rng()), [])
    }

    /// The state that this configuration begins with; its access log and its tables are in `folder`.
    pub fn state(folder: &Path, text: &str) -> Arc<State> {
        let mut config = Config::parse("test", text).unwrap();
        config.access_log.to = LogTarget::File(folder.join("access.log"));
        config.process.state_dir = folder.to_owned();
        let (changes, leaving, discovered) = Default::default();
        let desired = Desired { config, secrets: secrets(), changes, leaving, discovered };
        Arc::new(start::state(&desired, Clock::start(), None, mpsc::channel(1).0).unwrap())
    }
}
