//! What every request of the process shares.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use burdock::config::values::Listener;
use tokio::sync::{mpsc, watch};

use crate::admin::{Access, Socket};
use crate::edge::close_on_down::Cuts;
use crate::edge::connections::Connections;
use crate::process::systemd::Pulse;
use crate::process::upgrade::Asked;
use crate::runtime::clock::Clock;
use crate::runtime::readiness::Readiness;
use crate::serve::generation::Snapshot;
use crate::storage::Sessions;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;

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
    /// Of clients.
    pub connections: Connections,
    /// At the admin address.
    pub admin_connections: Connections,
    /// To the process before this one, until it ends, and to the one that comes after it, until that serves: what a process that
    /// has been succeeded does not end before.
    pub handovers: Connections,
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

#[cfg(test)]
pub mod fixture {
    //! A state without a process around it.

    use std::path::Path;

    use burdock::config::Config;
    use burdock::config::values::LogTarget;
    use burdock::session::fingerprint_key::FingerprintKey;
    use burdock::sticky::secrets::Secrets;
    use burdock::token::keys::{Key, KeyRing};

    use super::*;
    use crate::control::Desired;
    use crate::process::start;

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
