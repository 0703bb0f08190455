//! What every request of the process shares.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use arc_swap::ArcSwap;
use burdock::config::settings::Listener;

use super::access_log::AccessLog;
use super::clock::Clock;
use super::metrics::Metrics;
use super::sessions::Sessions;
use super::snapshot::Snapshot;

#[derive(Debug)]
pub struct State {
    pub clock: Clock,
    pub listeners: Vec<Listener>,
    pub snapshot: ArcSwap<Snapshot>,
    pub metrics: Metrics,
    pub access_log: AccessLog,
    pub connections: Connections,
    pub readiness: Readiness,
    pub sessions: Sessions,
}

/// How many client connections there are.
#[derive(Debug, Default)]
pub struct Connections(Arc<AtomicUsize>);

/// One of them, until dropped.
#[derive(Debug)]
pub struct Counted(Arc<AtomicUsize>);

/// Whether this process should be sent traffic.
#[derive(Debug, Default)]
pub struct Readiness {
    listening: AtomicBool,
    checked: AtomicBool,
    leaving: AtomicBool,
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
}

impl Connections {
    pub fn enter(&self) -> Counted {
        self.0.fetch_add(1, Relaxed);
        Counted(Arc::clone(&self.0))
    }

    pub fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Readiness {
    pub fn set_listening(&self) {
        self.listening.store(true, Relaxed);
    }

    pub fn set_checked(&self) {
        self.checked.store(true, Relaxed);
    }

    pub fn set_leaving(&self) {
        self.leaving.store(true, Relaxed);
    }

    /// Whether connections are to be closed after the request under way.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    pub fn now(&self) -> Ready {
        if self.leaving.load(Relaxed) {
            Ready::Leaving
        } else if !self.listening.load(Relaxed) {
            Ready::NotListening
        } else if !self.checked.load(Relaxed) {
            Ready::NotChecked
        } else {
            Ready::Yes
        }
    }
}
