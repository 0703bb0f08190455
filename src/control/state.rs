//! The state of the process beside the serving state: followers of the configuration, stored session tables, the admin service's
//! connections and secrets, and upgrades in progress. The request path does not know it.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::client::connections::Connections;
use crate::control::upgrade_request::UpgradeRequest;
use crate::runtime::admin_socket::AdminSocket;
use crate::runtime::bearer::Bearer;
use crate::runtime::systemd::Watchdog;
use crate::serve::generation::Generation;
use crate::serve::state::ServingState;
use crate::storage::session_storage::SessionStorage;

#[derive(Debug)]
pub struct ProcessState {
    pub serving: Arc<ServingState>,
    /// Notifies followers of a new generation; the value counts generations.
    pub published: watch::Sender<u64>,
    /// Whether every name has been looked up once.
    pub first_answers: watch::Sender<FirstAnswers>,
    /// Runs health checks, once they have begun.
    pub probing_runtime: OnceLock<Handle>,
    /// Connections at the admin address.
    pub admin_connections: Connections,
    /// Connections to the previous process, until it ends, and to the next one, until that serves. A replaced process does not exit
    /// before they close.
    pub handovers: Connections,
    pub watchdog: Arc<Watchdog>,
    pub storage: SessionStorage,
    /// The other followers of the session tables, to the end of the process.
    pub followers: Mutex<Vec<Arc<dyn Follower>>>,
    /// The token of the API at the admin address.
    pub bearer: Bearer,
    /// The Unix socket of the API, if configured.
    pub admin_socket: OnceLock<Arc<AdminSocket>>,
    /// Upgrade requests.
    pub successors: mpsc::Sender<UpgradeRequest>,
}

/// Whether every DNS name has been looked up once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FirstAnswers {
    #[default]
    Awaited,
    /// Each name has answered, or failed to.
    There,
}

/// Another process that follows the session tables.
pub trait Follower: std::fmt::Debug + Send + Sync {
    /// This process takes no more requests: it needs to know no more changes.
    fn idle(&self);

    /// Passes on what has happened until now, as the last thing. Waits for some seconds at most.
    fn finish(&self);
}

impl ProcessState {
    /// The last step before the process exits.
    pub fn close(&self) {
        let followers = std::mem::take(&mut *self.followers.lock());
        followers.iter().for_each(|follower| follower.finish());
        self.storage.close();
        self.serving.access_log.flush();
        if let Some(socket) = self.admin_socket.get() {
            socket.remove();
        }
    }

    /// Puts a new generation into effect.
    pub fn publish(&self, generation: Arc<Generation>) {
        let earlier = self.serving.generation.swap(Arc::clone(&generation));
        generation.balancer.in_force(&earlier.balancer, self.serving.clock.moment().now());
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
    use crate::control::desired::Desired;
    use crate::process::start;
    use crate::runtime::clock::Clock;

    pub fn secrets() -> Secrets {
        let keys = KeyRing::new(vec![Key::generate(&mut rand::rng())]).unwrap();
        Secrets::new(keys, FingerprintKey::generate(&mut rand::rng()), [])
    }

    /// The initial state of this configuration, with its access log and tables in `directory`.
    pub fn state(directory: &Path, text: &str) -> Arc<ProcessState> {
        let mut config = Config::parse("test", text).unwrap();
        config.access_log.to = LogTarget::File(directory.join("access.log"));
        config.process.state_dir = directory.to_owned();
        let (changes, leaving, discovered) = Default::default();
        let desired = Desired { config, secrets: secrets(), changes, leaving, discovered };
        Arc::new(start::state(&desired, Clock::start(), None, mpsc::channel(1).0).unwrap())
    }
}
