//! The one way to change the process: whoever has the turn makes the next generation of what is wanted, and publishes it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::balancer::diff;
use burdock::balancer::diff::Difference;
use burdock::balancer::spec::Plan;
use burdock::balancer::{Balancer, PlanError};
use burdock::ids::{ServerId, UpstreamName};
use burdock::time::Now;
use parking_lot::{Mutex, MutexGuard};

use crate::control::actor::Actor;
use crate::control::desired::Desired;
use crate::control::handoff::ProcessHandoff;
use crate::control::persist::{Persisted, Persister, WriteAck};
use crate::control::state::ProcessState;
use crate::control::store::Store;
use crate::control::tag::Tag;
use crate::runtime::directories;
use crate::runtime::readiness::HandingOver;
use crate::serve::generation::Generation;
use crate::servers::peer::PeerError;

/// The one way to change the process.
#[derive(Debug)]
pub struct Control {
    pub state: Arc<ProcessState>,
    pub(super) file: PathBuf,
    persister: Persister,
    pub(super) desired: Arc<ArcSwap<Desired>>,
    /// Held by whoever changes what is desired, from looking at it until the change is in force.
    changing: Mutex<()>,
}

/// Whoever has it can change what is wanted, and nobody else.
#[derive(Debug)]
pub(super) struct Turn<'c> {
    pub(super) desired: Arc<Desired>,
    _alone: MutexGuard<'c, ()>,
}

/// Why what is wanted does not come into force.
#[derive(Debug, thiserror::Error)]
pub enum Unpublished {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no upstream {}", .0.as_str())]
    NoUpstream(UpstreamName),
    #[error("upstream {} has no server {}", .0.as_str(), .1.as_str())]
    NoServer(UpstreamName, ServerId),
    #[error("upstream {} has a server {} already", .0.as_str(), .1.as_str())]
    Exists(UpstreamName, ServerId),
    #[error("server {} is on its way out: put it back into the configuration, or add it", .0.as_str())]
    OnItsWayOut(ServerId),
    #[error("the server is not what it was: somebody else has changed it meanwhile")]
    Mismatch { now: Tag },
    #[error("an upstream has at most 65,536 servers")]
    TooMany,
    #[error("this process is leaving or handing over and changes nothing; ask its successor, or again in a moment")]
    Leaving,
    #[error(transparent)]
    Unpublished(#[from] Unpublished),
}

impl Turn<'_> {
    /// What is to be changed.
    pub(super) fn next(&self) -> Desired {
        (*self.desired).clone()
    }
}

impl Control {
    /// `desired` is what `state` has been made from and what `store` has, and `file` where its configuration is.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn new(state: Arc<ProcessState>, desired: Desired, file: PathBuf, store: Store) -> io::Result<Self> {
        let desired = Arc::new(ArcSwap::from_pointee(desired));
        let persister = Persister::begin(store, &desired)?;
        Ok(Self { state, file, persister, desired, changing: Mutex::new(()) })
    }

    /// As [`Self::new`], after a process that writes to `store` until [`Self::take_store`].
    pub fn after_another(state: Arc<ProcessState>, desired: Desired, file: PathBuf, store: Store) -> Self {
        let desired = Arc::new(ArcSwap::from_pointee(desired));
        let persister = Persister::after_another(store, &desired);
        Self { state, file, persister, desired, changing: Mutex::new(()) }
    }

    /// What a successor is to know, beside the session tables.
    pub fn handoff(&self) -> ProcessHandoff {
        let Desired { config, changes, leaving, discovered, .. } = (**self.desired.load()).clone();
        let (addresses, live) = (directories::addresses(&config).collect(), self.state.serving.generation.load());
        ProcessHandoff {
            uptime: self.now().uptime,
            addresses,
            changes,
            leaving,
            discovered,
            servers: live.balancer.handoff(),
        }
    }

    /// The process before this one writes no more: what is wanted is for this one to write down.
    pub fn take_store(&self) {
        self.persister.take();
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
        let (desired, live) = (self.desired.load(), self.state.serving.generation.load());
        diff::between(&desired.found(), &desired.wanted(), &live.balancer, self.now())
    }

    /// Drops what operators have changed: of one server, or everything. Tells of how many servers.
    ///
    /// # Errors
    /// If a server's peer cannot be made.
    pub fn reset(&self, of: Option<(&UpstreamName, &ServerId)>, by: &Actor) -> Result<(usize, Persisted), ChangeError> {
        let turn = self.turn()?;
        let mut next = turn.next();
        let dropped = match of {
            Some((upstream, id)) => usize::from(next.changes.forget(upstream, id).is_some()),
            None => std::mem::take(&mut next.changes).iter().count(),
        };
        if dropped == 0 {
            drop(turn);
            return Ok((0, self.persister.ask().wait()));
        }
        let before = turn.desired.wanted();
        let persisted = self.carry_out(turn, next, &before, &[], by)?;
        Ok((dropped, persisted))
    }

    /// Waits for one's turn to change something.
    ///
    /// # Errors
    /// A process that is leaving or handing over changes nothing: a successor would not know.
    pub(super) fn turn(&self) -> Result<Turn<'_>, ChangeError> {
        if self.state.serving.readiness.is_leaving() {
            return Err(ChangeError::Leaving);
        }
        let alone = self.changing.lock();
        if self.state.serving.readiness.is_handing_over() {
            return Err(ChangeError::Leaving);
        }
        Ok(Turn { desired: self.desired.load_full(), _alone: alone })
    }

    /// Changes nothing from now on, as a successor is being prepared; or changes again, as it was not.
    pub fn set_handing_over(&self, under_way: HandingOver) {
        let _no_change_under_way = self.changing.lock();
        self.state.serving.readiness.set_handing_over(under_way);
    }

    /// Whether all that has been changed until now is on disk, or cannot be put there, before so much time has passed.
    pub fn is_settled_within(&self, patience: Duration) -> bool {
        self.persister.ask().wait_for(patience).is_some()
    }

    /// Makes what is wanted next come into force, tells who has wanted it, and waits until it is kept; by then it is the turn
    /// of others. `forgotten` servers do not stay for their sessions.
    pub(super) fn carry_out(
        &self,
        turn: Turn<'_>,
        next: Desired,
        before: &Plan,
        forgotten: &[(UpstreamName, ServerId)],
        by: &Actor,
    ) -> Result<Persisted, ChangeError> {
        let ack = self.publish(&turn, next, forgotten)?;
        self.audit(by, before, &self.desired.load().wanted());
        drop(turn);
        Ok(ack.wait())
    }

    /// Makes a generation of what is wanted next and lets it come into force, by whoever has the turn.
    pub(super) fn publish(
        &self,
        _turn: &Turn<'_>,
        mut next: Desired,
        forgotten: &[(UpstreamName, ServerId)],
    ) -> Result<WriteAck, Unpublished> {
        let (now, earlier) = (self.now(), self.state.serving.generation.load_full());
        next.leaving = earlier.balancer.leaving(&next.wanted(), now);
        next.leaving.retain(|gone| !forgotten.iter().any(|(upstream, id)| gone.upstream == *upstream && gone.id == *id));
        let balancer = Balancer::new(next.plan(), &next.secrets, Some(&earlier.balancer), now)?;
        let generation = Generation::new(balancer, &self.state.serving.metrics, Some(&earlier))?;
        // From here on nothing can fail.
        let tables = generation.balancer.tables().all().cloned().collect();
        self.state.storage.adopt(tables, next.secrets.fingerprints.id());
        // Whoever sees the generation finds what is wanted, too.
        self.desired.store(Arc::new(next));
        self.state.publish(Arc::new(generation));
        Ok(self.persister.ask())
    }

    /// Writes down who has changed what.
    fn audit(&self, by: &Actor, before: &Plan, after: &Plan) {
        let live = self.state.serving.generation.load();
        for difference in diff::between(before, after, &live.balancer, self.now()) {
            by.audit(difference);
        }
    }

    pub(super) fn now(&self) -> Now {
        self.state.serving.clock.moment().now()
    }
}
