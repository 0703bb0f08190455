//! What changes the running process: a new configuration, the wishes of operators for single servers, servers that are done
//! leaving. Every change makes one new snapshot from all that is wanted, and publishes it whole; requests go on with the one
//! that they have begun with.
//!
//! Rings are built and files written here, by whoever asks: never on a thread that serves requests.

mod names;
mod reload;
mod servers;
mod store;
mod tending;

use std::path::PathBuf;
use std::sync::Arc;

use burdock::balancer::changes::{Changes, Leaving};
use burdock::balancer::difference::{self, Difference};
use burdock::balancer::spec::Plan;
use burdock::balancer::{Balancer, Unworkable};
use burdock::config::Config;
use burdock::sticky::token::secrets::Secrets;
use burdock::time::Now;
use burdock::upstream::discovery::Discovered;
use burdock::upstream::{ServerId, UpstreamName};
use parking_lot::Mutex;

pub use reload::{ReloadError, ReloadMode, ReloadReport};
pub use servers::{Added, ChangeError, Expect, Origin, Origins, Removal, Tag};
pub use store::Store;
pub use tending::{Reloading, Tending};

use super::handover::Estate;
use super::peer::PeerError;
use super::readiness::HandingOver;
use super::snapshot::Snapshot;
use super::state::State;

/// The one way to change the process.
#[derive(Debug)]
pub struct Control {
    pub state: Arc<State>,
    file: PathBuf,
    store: Store,
    desired: Mutex<Desired>,
}

/// All that is wanted.
#[derive(Clone, Debug)]
pub struct Desired {
    /// As the file has it, but for what only another process can take up.
    pub config: Config,
    pub secrets: Secrets,
    pub changes: Changes,
    pub leaving: Vec<Leaving>,
    /// What was found by names since the process began.
    pub discovered: Discovered,
}

/// Why what is wanted does not come into force.
#[derive(Debug, thiserror::Error)]
pub enum Unpublished {
    #[error(transparent)]
    Plan(#[from] Unworkable),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Who asks for a change, as it is written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor(pub String);

/// Whether a change will outlive the process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kept {
    Yes,
    /// It could not be written, for this reason.
    No(String),
}

impl Actor {
    /// One line for one change: who has made it, and what it is.
    pub fn note(&self, what: impl std::fmt::Display) {
        log::info!(target: "audit", "audit: {}: {what}", self.0);
    }
}

impl Desired {
    /// Everything wanted, in one plan.
    pub fn plan(&self) -> Plan {
        let mut plan = self.wanted();
        Leaving::keep(&self.leaving, &mut plan);
        plan
    }

    /// What is configured, and what was found by names.
    fn found(&self) -> Plan {
        self.config.plan.expanded(&self.discovered)
    }

    /// The same as [`Self::plan`] without servers that are no longer wanted.
    fn wanted(&self) -> Plan {
        let mut plan = self.found();
        self.changes.apply(&mut plan);
        plan
    }
}

impl Control {
    /// `desired` is what `state` has been made from, and `file` where its configuration is.
    pub fn new(state: Arc<State>, desired: Desired, file: PathBuf, store: Store) -> Self {
        Self { state, file, store, desired: Mutex::new(desired) }
    }

    /// What a successor is to know, beside the session tables.
    pub fn estate(&self) -> Estate {
        let Desired { changes, leaving, discovered, .. } = self.desired.lock().clone();
        let live = self.state.snapshot.load();
        Estate { uptime: self.now().uptime, changes, leaving, discovered, servers: live.balancer.legacy() }
    }

    /// The process before this one writes no more: what is wanted is for this one to write down.
    pub fn take_store(&self) {
        let desired = self.desired.lock();
        self.store.take();
        let stored = self.store.read().ok();
        if stored.is_none_or(|(changes, leaving)| changes != desired.changes || leaving != desired.leaving) {
            self.keep(&desired);
        }
    }

    /// What operators have changed.
    pub fn changes(&self) -> Changes {
        self.desired.lock().changes.clone()
    }

    /// The configuration as the file had it when it was read last, without what operators have changed.
    pub fn config(&self) -> Config {
        self.desired.lock().config.clone()
    }

    /// Where the configuration is.
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// What operators' changes make otherwise than the file has it.
    pub fn diff(&self) -> Vec<Difference> {
        let desired = self.desired.lock().clone();
        let live = self.state.snapshot.load();
        difference::between(&desired.found(), &desired.wanted(), &live.balancer, self.now())
    }

    /// Drops what operators have changed: of one server, or everything. Tells of how many servers.
    ///
    /// # Errors
    /// If a server's peer cannot be made.
    pub fn reset(&self, of: Option<(&UpstreamName, &ServerId)>, by: &Actor) -> Result<(usize, Kept), ChangeError> {
        let mut desired = self.lock()?;
        let mut next = desired.clone();
        let dropped = match of {
            Some((upstream, id)) => usize::from(next.changes.forget(upstream, id).is_some()),
            None => std::mem::take(&mut next.changes).iter().count(),
        };
        if dropped == 0 {
            return Ok((0, Kept::Yes));
        }
        let before = desired.wanted();
        let kept = self.publish(&mut desired, next, &[])?;
        self.audit(by, &before, &desired.wanted());
        Ok((dropped, kept))
    }

    /// # Errors
    /// A process that is leaving or handing over changes nothing: a successor would not know.
    fn lock(&self) -> Result<parking_lot::MutexGuard<'_, Desired>, ChangeError> {
        if self.state.readiness.is_leaving() {
            return Err(ChangeError::Leaving);
        }
        let desired = self.desired.lock();
        if self.state.readiness.is_handing_over() { Err(ChangeError::Leaving) } else { Ok(desired) }
    }

    /// Changes nothing from now on, as a successor is being prepared; or changes again, as it was not.
    pub fn set_handing_over(&self, under_way: HandingOver) {
        let _no_change_under_way = self.desired.lock();
        self.state.readiness.set_handing_over(under_way);
    }

    /// Makes a snapshot of what is wanted next and lets it come into force. `forgotten` servers do not stay for their
    /// sessions.
    fn publish(
        &self,
        desired: &mut Desired,
        mut next: Desired,
        forgotten: &[(UpstreamName, ServerId)],
    ) -> Result<Kept, Unpublished> {
        let (now, earlier) = (self.now(), self.state.snapshot.load_full());
        next.leaving = earlier.balancer.leaving(&next.wanted(), now);
        next.leaving.retain(|gone| !forgotten.iter().any(|(upstream, id)| gone.upstream == *upstream && gone.id == *id));
        let balancer = Balancer::new(next.plan(), &next.secrets, Some(&earlier.balancer), now)?;
        self.state.sessions.adopt(balancer.tables().all().cloned().collect(), next.secrets.fingerprints.id());
        let snapshot = Snapshot::new(balancer, &self.state.metrics, Some(&earlier))?;
        self.state.publish(Arc::new(snapshot));
        let same = next.changes == desired.changes && next.leaving == desired.leaving;
        *desired = next;
        Ok(if same { Kept::Yes } else { self.keep(desired) })
    }

    fn keep(&self, desired: &Desired) -> Kept {
        match self.store.write(&desired.changes, &desired.leaving) {
            Ok(()) => Kept::Yes,
            Err(error) => {
                log::error!("what was changed is in force, but will not outlive the process: {error}");
                Kept::No(error.to_string())
            }
        }
    }

    /// Writes down who has changed what.
    fn audit(&self, by: &Actor, before: &Plan, after: &Plan) {
        let live = self.state.snapshot.load();
        for difference in difference::between(before, after, &live.balancer, self.now()) {
            by.note(difference);
        }
    }

    fn now(&self) -> Now {
        self.state.clock.moment().now()
    }
}
