//! The one way to change the process: the holder of the lock makes the next desired state, builds a generation of it and publishes
//! that.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use burdock::balancer::diff;
use burdock::balancer::diff::Difference;
use burdock::balancer::overrides::Overrides;
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
    /// Held during a change, from reading the desired state until the new one is in effect.
    changing: Mutex<()>,
}

/// The right to change the desired state: only one holder at a time.
#[derive(Debug)]
pub(super) struct ChangeGuard<'c> {
    pub(super) desired: Arc<Desired>,
    _lock: MutexGuard<'c, ()>,
}

/// Why a desired state could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("no upstream {}", .0.as_str())]
    NoUpstream(UpstreamName),
    #[error("upstream {} has no server {}", .0.as_str(), .1.as_str())]
    NoServer(UpstreamName, ServerId),
    #[error("upstream {} already has a server {}", .0.as_str(), .1.as_str())]
    Exists(UpstreamName, ServerId),
    #[error("server {} is leaving: put it back into the configuration, or add it again", .0.as_str())]
    ServerLeaving(ServerId),
    #[error("the server has changed since it was read: read it again")]
    Mismatch { now: Tag },
    #[error("an upstream can have at most 65,536 servers")]
    TooMany,
    #[error(
        "{0} is a listener of this Burdock, so requests would come back without end: give the address of the application"
    )]
    OwnListener(SocketAddr),
    #[error(
        "this process is shutting down or handing over and accepts no changes: ask the new process, or retry in a moment"
    )]
    Leaving,
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl ChangeGuard<'_> {
    /// A copy of the desired state, to change.
    pub(super) fn next(&self) -> Desired {
        (*self.desired).clone()
    }
}

impl Control {
    /// `desired` is the state that `state` was made from and that `store` holds; `file` is the configuration file.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn new(state: Arc<ProcessState>, desired: Desired, file: PathBuf, store: Store) -> io::Result<Self> {
        let desired = Arc::new(ArcSwap::from_pointee(desired));
        let persister = Persister::begin(store, &desired)?;
        Ok(Self { state, file, persister, desired, changing: Mutex::new(()) })
    }

    /// As [`Self::new`], while another process writes to `store`, until [`Self::take_store`].
    pub fn after_another(state: Arc<ProcessState>, desired: Desired, file: PathBuf, store: Store) -> Self {
        let desired = Arc::new(ArcSwap::from_pointee(desired));
        let persister = Persister::after_another(store, &desired);
        Self { state, file, persister, desired, changing: Mutex::new(()) }
    }

    /// The handoff for the next process, without the session tables.
    pub fn handoff(&self) -> ProcessHandoff {
        let Desired { config, changes, leaving, discovered, .. } = (**self.desired.load()).clone();
        let (addresses, live) = (directories::addresses(&config).collect(), self.state.serving.generation.load());
        ProcessHandoff {
            // Reading the clocks notices a step until now.
            uptime: self.now().uptime,
            clock_steps: self.state.serving.clock.steps(),
            addresses,
            changes,
            leaving,
            discovered,
            servers: live.balancer.handoff(),
        }
    }

    /// The overrides and the state of servers, for a process that serves at the same time.
    pub fn shared_state(&self) -> ProcessHandoff {
        let (desired, live) = (self.desired.load(), self.state.serving.generation.load());
        ProcessHandoff { changes: desired.changes.clone(), servers: live.balancer.handoff(), ..ProcessHandoff::default() }
    }

    /// The previous process has stopped writing to the store: from now on this one writes.
    pub fn take_store(&self) {
        self.persister.take();
    }

    /// The process that was to take over has ended: from now on this one writes to the store again.
    pub fn take_back_store(&self) {
        self.persister.take_back();
    }

    /// The current desired state.
    pub fn desired(&self) -> Arc<Desired> {
        self.desired.load_full()
    }

    /// The configuration file.
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// The differences that runtime overrides make to the file.
    pub fn diff(&self) -> Vec<Difference> {
        let (desired, live) = (self.desired.load(), self.state.serving.generation.load());
        diff::between(&desired.discovered_plan(), &desired.wanted(), &live.balancer, self.now())
    }

    /// Drops runtime overrides: those of one server, or all. Returns the number of servers reset.
    ///
    /// # Errors
    /// If a server's peer cannot be made.
    pub fn reset(&self, of: Option<(&UpstreamName, &ServerId)>, by: &Actor) -> Result<(usize, Persisted), ChangeError> {
        let guard = self.lock_changes()?;
        let mut next = guard.next();
        let dropped = match of {
            Some((upstream, id)) => usize::from(next.changes.forget(upstream, id).is_some()),
            None => std::mem::take(&mut next.changes).iter().count(),
        };
        if dropped == 0 {
            drop(guard);
            return Ok((0, self.persister.ask().wait()));
        }
        let before = guard.desired.wanted();
        let persisted = self.carry_out(guard, next, &before, &[], by)?;
        Ok((dropped, persisted))
    }

    /// Waits for the lock that a change needs.
    ///
    /// # Errors
    /// A process that is shutting down or handing over accepts no changes: the next process would not know them.
    pub(super) fn lock_changes(&self) -> Result<ChangeGuard<'_>, ChangeError> {
        if self.state.serving.readiness.is_leaving() {
            return Err(ChangeError::Leaving);
        }
        let lock = self.changing.lock();
        if self.state.serving.readiness.is_handing_over() {
            return Err(ChangeError::Leaving);
        }
        Ok(ChangeGuard { desired: self.desired.load_full(), _lock: lock })
    }

    /// Stops accepting changes while an upgrade prepares the next process, or accepts them again after it failed.
    pub fn set_handing_over(&self, under_way: HandingOver) {
        let _no_change_in_progress = self.changing.lock();
        self.state.serving.readiness.set_handing_over(under_way);
    }

    /// Waits at most `timeout` until all changes so far are on disk, or could not be written.
    pub fn is_settled_within(&self, timeout: Duration) -> bool {
        self.persister.ask().wait_for(timeout).is_some()
    }

    /// Publishes the next desired state, logs the change and its author, releases the lock, and waits until the state is on disk.
    /// `forgotten` servers do not stay for their sessions.
    pub(super) fn carry_out(
        &self,
        guard: ChangeGuard<'_>,
        next: Desired,
        before: &Plan,
        forgotten: &[(UpstreamName, ServerId)],
        by: &Actor,
    ) -> Result<Persisted, ChangeError> {
        let ack = self.publish(&guard, next, forgotten)?;
        self.audit(by, before, &self.desired.load().wanted());
        drop(guard);
        Ok(ack.wait())
    }

    /// Builds a generation of the next desired state and publishes it.
    pub(super) fn publish(
        &self,
        guard: &ChangeGuard<'_>,
        next: Desired,
        forgotten: &[(UpstreamName, ServerId)],
    ) -> Result<WriteAck, PublishError> {
        self.put_into_effect(guard, next, forgotten)?;
        Ok(self.persister.ask())
    }

    /// Adopts the overrides of the process that has taken over, for the requests that still come here. That one writes them to the
    /// store.
    ///
    /// # Errors
    /// If a server's peer cannot be made.
    pub fn adopt_overrides(&self, overrides: &Overrides) -> Result<(), PublishError> {
        let lock = self.changing.lock();
        let guard = ChangeGuard { desired: self.desired.load_full(), _lock: lock };
        if guard.desired.changes == *overrides {
            return Ok(());
        }
        let next = Desired { changes: overrides.clone(), ..guard.next() };
        self.put_into_effect(&guard, next, &[])
    }

    fn put_into_effect(
        &self,
        _guard: &ChangeGuard<'_>,
        mut next: Desired,
        forgotten: &[(UpstreamName, ServerId)],
    ) -> Result<(), PublishError> {
        let (now, earlier) = (self.now(), self.state.serving.generation.load_full());
        next.leaving = earlier.balancer.leaving(&next.wanted(), now);
        next.leaving.retain(|gone| !forgotten.iter().any(|(upstream, id)| gone.upstream == *upstream && gone.id == *id));
        let balancer = Balancer::new(next.plan(), &next.secrets, Some(&earlier.balancer), now)?;
        let generation = Generation::new(balancer, &self.state.serving.metrics, Some(&earlier))?;
        // Nothing below can fail.
        let tables = generation.balancer.tables().all().cloned().collect();
        self.state.storage.adopt(tables, next.secrets.fingerprints.id());
        // The desired state is stored first: a reader of the new generation must find it.
        self.desired.store(Arc::new(next));
        self.state.publish(Arc::new(generation));
        Ok(())
    }

    /// Logs the differences and their author.
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
