//! What changes the running process: a new configuration, the wishes of operators for single servers, servers that are done
//! leaving. Every change makes one new snapshot from all that is wanted, and publishes it whole; requests go on with the one
//! that they have begun with.
//!
//! Rings are built here, by whoever asks: never on a thread that serves requests. One change is made after the other; whoever
//! only wants to know what is wanted waits for none of them, and nothing waits for the disk but the answer to a change.

mod discovered;
mod maintenance;
mod persist;
mod reload;
mod servers;
mod store;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::balancer::diff;
use burdock::balancer::diff::Difference;
use burdock::balancer::overrides::{Changes, Leaving};
use burdock::balancer::spec::Plan;
use burdock::balancer::{Balancer, PlanError};
use burdock::config::Config;
use burdock::sticky::secrets::Secrets;
use burdock::time::Now;
use burdock::upstream::discovery::Discovered;
use burdock::upstream::{ServerId, UpstreamName};
use parking_lot::{Mutex, MutexGuard};

pub use crate::control::maintenance::{Reloading, Tending};
pub use crate::control::persist::Kept;
use crate::control::persist::{Keeping, Pending};
pub use reload::{ReloadError, ReloadMode, ReloadReport};
pub use servers::{Added, ChangeError, Expect, Origin, Origins, Removal, Tag};
pub use store::{Outliving, Store};

use crate::process::upgrade::Estate;
use crate::runtime::directories;
use crate::runtime::readiness::HandingOver;
use crate::serve::generation::Snapshot;
use crate::serve::state::State;
use crate::servers::peer::PeerError;

/// The one way to change the process.
#[derive(Debug)]
pub struct Control {
    pub state: Arc<State>,
    file: PathBuf,
    keeping: Keeping,
    desired: Arc<ArcSwap<Desired>>,
    /// Held by whoever changes what is desired, from looking at it until the change is in force.
    changing: Mutex<()>,
}

/// Whoever has it can change what is wanted, and nobody else.
#[derive(Debug)]
struct Turn<'c> {
    desired: Arc<Desired>,
    _alone: MutexGuard<'c, ()>,
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
    Plan(#[from] PlanError),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Who asks for a change, as it is written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor(pub String);

impl Actor {
    /// One line for one change: who has made it, and what it is.
    pub fn note(&self, what: impl std::fmt::Display) {
        log::info!(target: "audit", "audit: {}: {what}", self.0);
    }
}

impl Turn<'_> {
    /// What is to be changed.
    fn next(&self) -> Desired {
        (*self.desired).clone()
    }
}

impl Desired {
    /// Everything wanted, in one plan.
    pub fn plan(&self) -> Plan {
        let mut plan = self.wanted();
        Leaving::keep(&self.leaving, &mut plan);
        plan
    }

    /// What of it outlives the process.
    fn outliving(&self) -> Outliving {
        Outliving { changes: self.changes.clone(), leaving: self.leaving.clone() }
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
    /// `desired` is what `state` has been made from and what `store` has, and `file` where its configuration is.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn new(state: Arc<State>, desired: Desired, file: PathBuf, store: Store) -> io::Result<Self> {
        let desired = Arc::new(ArcSwap::from_pointee(desired));
        let keeping = Keeping::begin(store, &desired)?;
        Ok(Self { state, file, keeping, desired, changing: Mutex::new(()) })
    }

    /// As [`Self::new`], after a process that writes to `store` until [`Self::take_store`].
    pub fn after_another(state: Arc<State>, desired: Desired, file: PathBuf, store: Store) -> Self {
        let desired = Arc::new(ArcSwap::from_pointee(desired));
        let keeping = Keeping::after_another(store, &desired);
        Self { state, file, keeping, desired, changing: Mutex::new(()) }
    }

    /// What a successor is to know, beside the session tables.
    pub fn estate(&self) -> Estate {
        let Desired { config, changes, leaving, discovered, .. } = (**self.desired.load()).clone();
        let (addresses, live) = (directories::addresses(&config).collect(), self.state.snapshot.load());
        Estate { uptime: self.now().uptime, addresses, changes, leaving, discovered, servers: live.balancer.handoff() }
    }

    /// The process before this one writes no more: what is wanted is for this one to write down.
    pub fn take_store(&self) {
        self.keeping.take();
    }

    /// All that is wanted now.
    pub fn desired(&self) -> Arc<Desired> {
        self.desired.load_full()
    }

    /// Where the configuration is.
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// What operators' changes make otherwise than the file has it.
    pub fn diff(&self) -> Vec<Difference> {
        let (desired, live) = (self.desired.load(), self.state.snapshot.load());
        diff::between(&desired.found(), &desired.wanted(), &live.balancer, self.now())
    }

    /// Drops what operators have changed: of one server, or everything. Tells of how many servers.
    ///
    /// # Errors
    /// If a server's peer cannot be made.
    pub fn reset(&self, of: Option<(&UpstreamName, &ServerId)>, by: &Actor) -> Result<(usize, Kept), ChangeError> {
        let turn = self.turn()?;
        let mut next = turn.next();
        let dropped = match of {
            Some((upstream, id)) => usize::from(next.changes.forget(upstream, id).is_some()),
            None => std::mem::take(&mut next.changes).iter().count(),
        };
        if dropped == 0 {
            drop(turn);
            return Ok((0, self.keeping.ask().wait()));
        }
        let before = turn.desired.wanted();
        let kept = self.carry_out(turn, next, &before, &[], by)?;
        Ok((dropped, kept))
    }

    /// Waits for one's turn to change something.
    ///
    /// # Errors
    /// A process that is leaving or handing over changes nothing: a successor would not know.
    fn turn(&self) -> Result<Turn<'_>, ChangeError> {
        if self.state.readiness.is_leaving() {
            return Err(ChangeError::Leaving);
        }
        let alone = self.changing.lock();
        if self.state.readiness.is_handing_over() {
            return Err(ChangeError::Leaving);
        }
        Ok(Turn { desired: self.desired.load_full(), _alone: alone })
    }

    /// Changes nothing from now on, as a successor is being prepared; or changes again, as it was not.
    pub fn set_handing_over(&self, under_way: HandingOver) {
        let _no_change_under_way = self.changing.lock();
        self.state.readiness.set_handing_over(under_way);
    }

    /// Whether all that has been changed until now is on disk, or cannot be put there, before so much time has passed.
    pub fn is_settled_within(&self, patience: Duration) -> bool {
        self.keeping.ask().wait_for(patience).is_some()
    }

    /// Makes what is wanted next come into force, tells who has wanted it, and waits until it is kept; by then it is the turn
    /// of others. `forgotten` servers do not stay for their sessions.
    fn carry_out(
        &self,
        turn: Turn<'_>,
        next: Desired,
        before: &Plan,
        forgotten: &[(UpstreamName, ServerId)],
        by: &Actor,
    ) -> Result<Kept, ChangeError> {
        let pending = self.publish(&turn, next, forgotten)?;
        self.audit(by, before, &self.desired.load().wanted());
        drop(turn);
        Ok(pending.wait())
    }

    /// Makes a snapshot of what is wanted next and lets it come into force, by whoever has the turn.
    fn publish(
        &self,
        _turn: &Turn<'_>,
        mut next: Desired,
        forgotten: &[(UpstreamName, ServerId)],
    ) -> Result<Pending, Unpublished> {
        let (now, earlier) = (self.now(), self.state.snapshot.load_full());
        next.leaving = earlier.balancer.leaving(&next.wanted(), now);
        next.leaving.retain(|gone| !forgotten.iter().any(|(upstream, id)| gone.upstream == *upstream && gone.id == *id));
        let balancer = Balancer::new(next.plan(), &next.secrets, Some(&earlier.balancer), now)?;
        let snapshot = Snapshot::new(balancer, &self.state.metrics, Some(&earlier))?;
        // From here on nothing can fail.
        let tables = snapshot.balancer.tables().all().cloned().collect();
        self.state.sessions.adopt(tables, next.secrets.fingerprints.id());
        // Whoever sees the snapshot finds what is wanted, too.
        self.desired.store(Arc::new(next));
        self.state.publish(Arc::new(snapshot));
        Ok(self.keeping.ask())
    }

    /// Writes down who has changed what.
    fn audit(&self, by: &Actor, before: &Plan, after: &Plan) {
        let live = self.state.snapshot.load();
        for difference in diff::between(before, after, &live.balancer, self.now()) {
            by.note(difference);
        }
    }

    fn now(&self) -> Now {
        self.state.clock.moment().now()
    }
}
