//! What the process has beside what serves requests: who follows the configuration, the session tables on disk, the admin service's
//! connections and secrets, what is under way to other processes. Requests do not know it.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
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
    /// Tells those who follow the configuration that the generation is another one; the value counts them.
    pub published: watch::Sender<u64>,
    /// Whether every name has been looked up once.
    pub first_answers: watch::Sender<FirstAnswers>,
    /// At the admin address.
    pub admin_connections: Connections,
    /// To the process before this one, until it ends, and to the one that comes after it, until that serves: what a process that
    /// has been replaced does not end before.
    pub handovers: Connections,
    pub watchdog: Arc<Watchdog>,
    pub storage: SessionStorage,
    /// Who else follows the session tables to the end of the process.
    pub followers: Mutex<Vec<Arc<dyn Follower>>>,
    /// What opens the API at the admin address.
    pub bearer: Bearer,
    /// Where the API is served beside that, if it is.
    pub admin_socket: OnceLock<Arc<AdminSocket>>,
    /// Where a successor is asked for.
    pub successors: mpsc::Sender<UpgradeRequest>,
}

/// Whether servers that are found by name have been asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FirstAnswers {
    #[default]
    Awaited,
    /// Each name has answered, or failed to.
    There,
}

/// Somebody who follows the session tables, beside what stores them.
pub trait Follower: std::fmt::Debug + Send + Sync {
    /// Passes on what has happened until now, as the last thing. Waits for some seconds at most.
    fn finish(&self);
}

impl ProcessState {
    /// What is to be done before the process ends, as the last thing.
    pub fn close(&self) {
        let followers = std::mem::take(&mut *self.followers.lock());
        followers.iter().for_each(|follower| follower.finish());
        self.storage.close();
        self.serving.access_log.flush();
        if let Some(socket) = self.admin_socket.get() {
            socket.remove();
        }
    }

    /// Lets another configuration come into force.
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

    /// The state that this configuration begins with; its access log and its tables are in `folder`.
    pub fn state(folder: &Path, text: &str) -> Arc<ProcessState> {
        let mut config = Config::parse("test", text).unwrap();
        config.access_log.to = LogTarget::File(folder.join("access.log"));
        config.process.state_dir = folder.to_owned();
        let (changes, leaving, discovered) = Default::default();
        let desired = Desired { config, secrets: secrets(), changes, leaving, discovered };
        Arc::new(start::state(&desired, Clock::start(), None, mpsc::channel(1).0).unwrap())
    }
}
