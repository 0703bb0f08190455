//! Changes of single servers: state, weight, limit; servers that come and go without a file being edited.

use std::collections::HashSet;
use std::sync::Arc;

use burdock::balancer::overrides;
use burdock::balancer::overrides::{Presence, ServerChange, ServerPatch};
use burdock::balancer::spec::Plan;
use burdock::ids::{ServerId, UpstreamName};
use burdock::upstream::spec::{MAX_SERVERS, ServerSpec};

use crate::control::actor::Actor;
use crate::control::change::{ChangeError, Control};
use crate::control::desired::Desired;
use crate::control::persist::Persisted;
use crate::control::tag::Tag;

/// What must be so for a change to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expect {
    Anything,
    /// The server is as it was when it had this tag.
    Tag(Tag),
}

/// A server that is to be added.
#[derive(Clone, Debug)]
pub struct Added {
    pub server: overrides::Added,
    pub wishes: ServerPatch,
}

/// How a server is removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removal {
    /// As the upstream treats removed servers: usually it keeps its sessions until they are gone.
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
    /// A name in the file leads to it.
    Name,
    /// It was added, or is on its way out.
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
    /// Changes what is wanted of a server.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing is changed.
    pub fn change(
        &self,
        upstream: &UpstreamName,
        id: &ServerId,
        patch: ServerPatch,
        expect: &Expect,
        by: &Actor,
    ) -> Result<Persisted, ChangeError> {
        let turn = self.turn()?;
        let desired = &turn.desired;
        let before = desired.wanted();
        let server = desired.server(&before, upstream, id)?;
        expect.check(&server)?;
        let mut next = turn.next();
        let change = next.changes.of(upstream, id).cloned().unwrap_or_default();
        next.changes.set(upstream, id, change.patched(patch));
        self.carry_out(turn, next, &before, &[], by)
    }

    /// Adds a server. One that is on its way out and is added again stays.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing is changed.
    pub fn add(&self, upstream: &UpstreamName, id: &ServerId, added: Added, by: &Actor) -> Result<Persisted, ChangeError> {
        let turn = self.turn()?;
        let desired = &turn.desired;
        let before = desired.wanted();
        match desired.server(&before, upstream, id) {
            Ok(_) => return Err(ChangeError::Exists(upstream.clone(), id.clone())),
            Err(ChangeError::NoServer(..) | ChangeError::OnItsWayOut(_)) => {}
            Err(error) => return Err(error),
        }
        if find(&before, upstream).is_some_and(|servers| servers.len() >= MAX_SERVERS) {
            return Err(ChangeError::TooMany);
        }
        let mut next = turn.next();
        let presence = Presence::Added(added.server);
        next.changes.set(upstream, id, ServerChange { presence, ..ServerChange::default() }.patched(added.wishes));
        self.carry_out(turn, next, &before, &[], by)
    }

    /// Removes a server, whoever has added it.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing is changed.
    pub fn remove(
        &self,
        upstream: &UpstreamName,
        id: &ServerId,
        how: Removal,
        expect: &Expect,
        by: &Actor,
    ) -> Result<Persisted, ChangeError> {
        let turn = self.turn()?;
        let desired = &turn.desired;
        let before = desired.wanted();
        let mut next = turn.next();
        match desired.server(&before, upstream, id) {
            Ok(server) => {
                expect.check(&server)?;
                let presence = if desired.is_configured(upstream, id) { Presence::Removed } else { Presence::Configured };
                next.changes.set(upstream, id, ServerChange { presence, ..ServerChange::default() });
            }
            // It is to go at once instead of when its sessions are gone.
            Err(ChangeError::OnItsWayOut(_)) if how == Removal::AtOnce => {}
            Err(error) => return Err(error),
        }
        let forgotten = match how {
            Removal::AtOnce => vec![(upstream.clone(), id.clone())],
            Removal::AsConfigured => Vec::new(),
        };
        self.carry_out(turn, next, &before, &forgotten, by)
    }

    /// A server as it is wanted, with its tag; also one that is on its way out.
    ///
    /// # Errors
    /// Where there is none.
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
        Origins { file: ids(&desired.config.plan), found: ids(&desired.found()) }
    }
}

impl Desired {
    /// A server that is wanted.
    fn server(&self, wanted: &Plan, upstream: &UpstreamName, id: &ServerId) -> Result<Arc<ServerSpec>, ChangeError> {
        let servers = find(wanted, upstream).ok_or_else(|| ChangeError::NoUpstream(upstream.clone()))?;
        if let Some(server) = servers.iter().find(|server| server.id == *id) {
            return Ok(Arc::clone(server));
        }
        if self.leaving.iter().any(|gone| gone.upstream == *upstream && gone.id == *id) {
            return Err(ChangeError::OnItsWayOut(id.clone()));
        }
        Err(ChangeError::NoServer(upstream.clone(), id.clone()))
    }

    /// Whether the configuration has it, or a name in that leads to it.
    fn is_configured(&self, upstream: &UpstreamName, id: &ServerId) -> bool {
        find(&self.found(), upstream).is_some_and(|servers| servers.iter().any(|server| server.id == *id))
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
    plan.upstreams.iter().find(|pool| pool.upstream.name == *upstream).map(|pool| &pool.upstream.servers)
}
