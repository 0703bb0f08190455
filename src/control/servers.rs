//! Runtime overrides of single servers: state, weight, limit; adding and removing servers.

use std::collections::HashSet;
use std::sync::Arc;

use burdock::balancer::overrides;
use burdock::balancer::overrides::{Presence, ServerOverride, ServerPatch};
use burdock::balancer::spec::Plan;
use burdock::ids::{ServerId, UpstreamName};
use burdock::upstream::spec::{Address, MAX_SERVERS, ServerSpec};

use crate::control::actor::Actor;
use crate::control::change::{ChangeError, Control};
use crate::control::desired::Desired;
use crate::control::persist::Persisted;
use crate::control::tag::Tag;

/// The precondition of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expect {
    Anything,
    /// The server still has this tag.
    Tag(Tag),
}

/// A server to add.
#[derive(Clone, Debug)]
pub struct Added {
    pub server: overrides::Added,
    pub patch: ServerPatch,
}

/// How to remove a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removal {
    /// As the upstream configures for removed servers: by default the server keeps its sessions until they end.
    AsConfigured,
    AtOnce,
}

/// Where the servers of an upstream come from.
#[derive(Debug)]
pub struct Origins {
    file: HashSet<ServerId>,
    found: HashSet<ServerId>,
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    File,
    /// A DNS name in the file.
    Name,
    /// It was added at run time, or is leaving.
    RunTime,
}

impl Origins {
    pub fn of(&self, id: &ServerId) -> Origin {
        match (self.file.contains(id), self.found.contains(id)) {
            (true, _) => Origin::File,
            (false, true) => Origin::Name,
            (false, false) => Origin::RunTime,
        }
    }
}

impl Control {
    /// Changes a server's overrides.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing has changed.
    pub fn change(
        &self,
        upstream: &UpstreamName,
        id: &ServerId,
        patch: ServerPatch,
        expect: &Expect,
        by: &Actor,
    ) -> Result<Persisted, ChangeError> {
        let guard = self.lock_changes()?;
        let desired = &guard.desired;
        let before = desired.wanted();
        let server = desired.server(&before, upstream, id)?;
        expect.check(&server)?;
        let mut next = guard.next();
        let change = next.changes.of(upstream, id).cloned().unwrap_or_default();
        next.changes.set(upstream, id, change.patched(patch));
        self.carry_out(guard, next, &before, &[], by)
    }

    /// Adds a server. A leaving server that is added again stays.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing has changed.
    pub fn add(&self, upstream: &UpstreamName, id: &ServerId, added: Added, by: &Actor) -> Result<Persisted, ChangeError> {
        let guard = self.lock_changes()?;
        let desired = &guard.desired;
        let before = desired.wanted();
        match desired.server(&before, upstream, id) {
            Ok(_) => return Err(ChangeError::Exists(upstream.clone(), id.clone())),
            Err(ChangeError::NoServer(..) | ChangeError::ServerLeaving(_)) => {}
            Err(error) => return Err(error),
        }
        if find(&before, upstream).is_some_and(|servers| servers.len() >= MAX_SERVERS) {
            return Err(ChangeError::TooMany);
        }
        if let Address::Inet(address) = added.server.address
            && self.state.serving.listeners.iter().any(|listener| listener.is_reached_at(address))
        {
            return Err(ChangeError::OwnListener(address));
        }
        let mut next = guard.next();
        let presence = Presence::Added(added.server);
        next.changes.set(upstream, id, ServerOverride { presence, ..ServerOverride::default() }.patched(added.patch));
        self.carry_out(guard, next, &before, &[], by)
    }

    /// Removes a server, wherever it comes from.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing has changed.
    pub fn remove(
        &self,
        upstream: &UpstreamName,
        id: &ServerId,
        how: Removal,
        expect: &Expect,
        by: &Actor,
    ) -> Result<Persisted, ChangeError> {
        let guard = self.lock_changes()?;
        let desired = &guard.desired;
        let before = desired.wanted();
        let mut next = guard.next();
        match desired.server(&before, upstream, id) {
            Ok(server) => {
                expect.check(&server)?;
                let presence = if desired.is_configured(upstream, id) { Presence::Removed } else { Presence::Configured };
                next.changes.set(upstream, id, ServerOverride { presence, ..ServerOverride::default() });
            }
            // Removed at once, rather than when its sessions have ended.
            Err(ChangeError::ServerLeaving(_)) if how == Removal::AtOnce => {}
            Err(error) => return Err(error),
        }
        let forgotten = match how {
            Removal::AtOnce => vec![(upstream.clone(), id.clone())],
            Removal::AsConfigured => Vec::new(),
        };
        self.carry_out(guard, next, &before, &forgotten, by)
    }

    /// A server's desired state and its tag; also of a leaving server.
    ///
    /// # Errors
    /// If there is no such server.
    pub fn server(&self, upstream: &UpstreamName, id: &ServerId) -> Result<(Arc<ServerSpec>, Tag), ChangeError> {
        let desired = self.desired.load();
        let plan = desired.plan();
        let servers = find(&plan, upstream).ok_or_else(|| ChangeError::NoUpstream(upstream.clone()))?;
        let server = servers.iter().find(|server| server.id == *id);
        let server = server.ok_or_else(|| ChangeError::NoServer(upstream.clone(), id.clone()))?;
        Ok((Arc::clone(server), Tag::of(server)))
    }

    /// Where the servers of an upstream come from.
    pub fn origins(&self, upstream: &UpstreamName) -> Origins {
        let desired = self.desired.load();
        let ids = |plan: &Plan| find(plan, upstream).into_iter().flatten().map(|server| server.id.clone()).collect();
        Origins { file: ids(&desired.config.plan), found: ids(&desired.discovered_plan()) }
    }
}

impl Desired {
    /// A server of the plan, unless it is leaving.
    fn server(&self, wanted: &Plan, upstream: &UpstreamName, id: &ServerId) -> Result<Arc<ServerSpec>, ChangeError> {
        let servers = find(wanted, upstream).ok_or_else(|| ChangeError::NoUpstream(upstream.clone()))?;
        if let Some(server) = servers.iter().find(|server| server.id == *id) {
            return Ok(Arc::clone(server));
        }
        if self.leaving.iter().any(|gone| gone.upstream == *upstream && gone.id == *id) {
            return Err(ChangeError::ServerLeaving(id.clone()));
        }
        Err(ChangeError::NoServer(upstream.clone(), id.clone()))
    }

    /// Whether the configuration names the server, or DNS has discovered it.
    fn is_configured(&self, upstream: &UpstreamName, id: &ServerId) -> bool {
        find(&self.discovered_plan(), upstream).is_some_and(|servers| servers.iter().any(|server| server.id == *id))
    }
}

impl Expect {
    fn check(&self, server: &ServerSpec) -> Result<(), ChangeError> {
        let now = Tag::of(server);
        match self {
            Self::Anything => Ok(()),
            Self::Tag(expected) if *expected == now => Ok(()),
            Self::Tag(_) => Err(ChangeError::Mismatch { now }),
        }
    }
}

fn find<'p>(plan: &'p Plan, upstream: &UpstreamName) -> Option<&'p Vec<Arc<ServerSpec>>> {
    plan.upstreams.iter().find(|sticky| sticky.upstream.name == *upstream).map(|sticky| &sticky.upstream.servers)
}
