//! Runtime overrides: an operator's changes to single servers, applied on top of the configuration. They survive reloads and
//! restarts, so they have a form for files. Where they are stored is not known here.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ServerId, UpstreamName};
use crate::time::UnixSeconds;
use crate::upstream::spec::{Address, Admin, ServerSpec, Then, Tier, Weight};

use super::spec::{Plan, StickyUpstreamSpec};

/// All overrides, by server.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Overrides(BTreeMap<UpstreamName, BTreeMap<ServerId, ServerOverride>>);

/// The overrides of one server. Absent fields are as configured.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServerOverride {
    #[serde(skip_serializing_if = "Presence::is_configured")]
    pub presence: Presence,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateOverride>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_conns: Option<MaxConns>,
}

/// Whether the server exists.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// As configured.
    #[default]
    Configured,
    /// It exists although it is not configured. If it is configured later, the configuration counts.
    Added(Added),
    /// It does not exist although it is configured.
    Removed,
}

/// A server that was added.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Added {
    pub address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<ServerId>,
    #[serde(default)]
    pub tier: Tier,
}

/// A state that an operator can give a server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateOverride {
    Ready,
    /// It keeps its sessions, until this date if there is one.
    Drain {
        until: Option<UnixSeconds>,
        #[serde(default)]
        then: Then,
    },
    Maint,
}

/// A limit of requests in flight, or none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxConns {
    Unlimited,
    Limit(NonZeroU32),
}

/// A change to one override.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Patch<T> {
    #[default]
    Keep,
    /// Back to the configured value.
    Reset,
    Set(T),
}

/// A change to a server's overrides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerPatch {
    pub state: Patch<StateOverride>,
    pub weight: Patch<Weight>,
    pub max_conns: Patch<MaxConns>,
}

/// A server that was removed from the configuration and stays until its sessions have ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeavingServer {
    pub upstream: UpstreamName,
    pub id: ServerId,
    #[serde(flatten)]
    pub server: Added,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_conns: Option<NonZeroU32>,
    /// The host name in its health checks, if it is not the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Arc<str>>,
    pub until: Option<UnixSeconds>,
}

impl Overrides {
    pub fn of(&self, upstream: &UpstreamName, id: &ServerId) -> Option<&ServerOverride> {
        self.0.get(upstream)?.get(id)
    }

    /// Replaces the overrides of the server. Empty ones are removed.
    pub fn set(&mut self, upstream: &UpstreamName, id: &ServerId, change: ServerOverride) {
        if change == ServerOverride::default() {
            self.forget(upstream, id);
        } else {
            self.0.entry(upstream.clone()).or_default().insert(id.clone(), change);
        }
    }

    /// Removes and returns the overrides of the server, which is as configured again.
    pub fn forget(&mut self, upstream: &UpstreamName, id: &ServerId) -> Option<ServerOverride> {
        let servers = self.0.get_mut(upstream)?;
        let forgotten = servers.remove(id);
        if servers.is_empty() {
            self.0.remove(upstream);
        }
        forgotten
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&UpstreamName, &ServerId, &ServerOverride)> {
        self.0.iter().flat_map(|(upstream, servers)| servers.iter().map(move |(id, change)| (upstream, id, change)))
    }

    /// Applies the overrides to a plan. Overrides of upstreams and servers that it does not have are kept for later.
    pub fn apply(&self, plan: &mut Plan) {
        for sticky in &mut plan.upstreams {
            let Some(changes) = self.0.get(&sticky.upstream.name) else { continue };
            apply_to(sticky, changes);
        }
    }
}

fn apply_to(sticky: &mut StickyUpstreamSpec, changes: &BTreeMap<ServerId, ServerOverride>) {
    let servers = &mut sticky.upstream.servers;
    servers.retain(|server| changes.get(&server.id).is_none_or(|change| change.presence != Presence::Removed));
    for server in servers.iter_mut() {
        if let Some(change) = changes.get(&server.id) {
            *server = Arc::new(change.over(server));
        }
    }
    for (id, change) in changes {
        if let Presence::Added(added) = &change.presence
            && !servers.iter().any(|server| server.id == *id)
        {
            servers.push(Arc::new(change.over(&added.spec(id))));
        }
    }
}

impl ServerOverride {
    /// The overrides after a patch.
    #[must_use]
    pub fn patched(self, patch: ServerPatch) -> Self {
        Self {
            presence: self.presence,
            state: patch.state.over(self.state),
            weight: patch.weight.over(self.weight),
            max_conns: patch.max_conns.over(self.max_conns),
        }
    }

    /// The server with its overrides.
    fn over(&self, server: &ServerSpec) -> ServerSpec {
        ServerSpec {
            admin: self.state.map_or(server.admin, Admin::from),
            weight: self.weight.unwrap_or(server.weight),
            max_conns: self.max_conns.map_or(server.max_conns, MaxConns::limit),
            ..server.clone()
        }
    }
}

impl Presence {
    fn is_configured(&self) -> bool {
        *self == Self::Configured
    }
}

impl Added {
    fn spec(&self, id: &ServerId) -> ServerSpec {
        ServerSpec {
            id: id.clone(),
            route: self.route.clone(),
            address: self.address.clone(),
            host: None,
            weight: Weight::ONE,
            tier: self.tier,
            max_conns: None,
            admin: Admin::Ready,
        }
    }
}

impl MaxConns {
    pub fn limit(self) -> Option<NonZeroU32> {
        match self {
            Self::Unlimited => None,
            Self::Limit(limit) => Some(limit),
        }
    }
}

impl<T> Patch<T> {
    fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Reset => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl From<StateOverride> for Admin {
    fn from(wanted: StateOverride) -> Self {
        match wanted {
            StateOverride::Ready => Self::Ready,
            StateOverride::Drain { until, then } => Self::Drain { until, then },
            StateOverride::Maint => Self::Maint,
        }
    }
}

impl LeavingServer {
    /// A leaving server.
    pub fn new(upstream: &UpstreamName, server: &ServerSpec, until: Option<UnixSeconds>) -> Self {
        Self {
            upstream: upstream.clone(),
            id: server.id.clone(),
            server: Added { address: server.address.clone(), route: server.route.clone(), tier: server.tier },
            max_conns: server.max_conns,
            host: server.host.clone(),
            until,
        }
    }

    /// Adds these servers to the plan, unless it has them.
    pub fn keep(leaving: &[Self], plan: &mut Plan) {
        let mut by_upstream: BTreeMap<&UpstreamName, Vec<&Self>> = BTreeMap::new();
        leaving.iter().for_each(|gone| by_upstream.entry(&gone.upstream).or_default().push(gone));
        for sticky in &mut plan.upstreams {
            if let Some(leaving) = by_upstream.get(&sticky.upstream.name) {
                Self::keep_in(leaving, &mut sticky.upstream.servers);
            }
        }
    }

    fn keep_in(leaving: &[&Self], servers: &mut Vec<Arc<ServerSpec>>) {
        let mut present: HashSet<ServerId> = servers.iter().map(|server| server.id.clone()).collect();
        for gone in leaving {
            if present.insert(gone.id.clone()) {
                let spec = gone.server.spec(&gone.id);
                let (max_conns, host, admin) = (gone.max_conns, gone.host.clone(), Admin::Leaving { until: gone.until });
                servers.push(Arc::new(ServerSpec { max_conns, host, admin, ..spec }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> ServerOverride {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_file_format_is_stable() {
        let mut changes = Overrides::default();
        let (shop, a, b) =
            (UpstreamName::parse("shop").unwrap(), ServerId::parse("a").unwrap(), ServerId::parse("b").unwrap());
        let state = Some(StateOverride::Drain { until: Some(UnixSeconds(7)), then: Then::Refuse });
        let max_conns = Some(MaxConns::Unlimited);
        changes.set(&shop, &a, ServerOverride { state, max_conns, weight: Some(Weight::ONE), ..ServerOverride::default() });
        let address = Address::parse("10.0.0.1:80").unwrap();
        let presence = Presence::Added(Added { address, route: None, tier: Tier::Backup });
        changes.set(&shop, &b, ServerOverride { presence, ..ServerOverride::default() });
        let text = r#"{"shop":{"a":{"state":{"drain":{"until":7,"then":"refuse"}},"weight":1,"max_conns":"unlimited"},"b":{"presence":{"added":{"address":"10.0.0.1:80","tier":"backup"}}}}}"#;
        assert_eq!(serde_json::to_string(&changes).unwrap(), text);
        assert_eq!(serde_json::from_str::<Overrides>(text).unwrap(), changes);
    }

    #[test]
    fn an_invalid_state_weight_address_or_limit_is_an_error() {
        for wrong in [
            r#"{"weight":257}"#,
            r#"{"state":"asleep"}"#,
            r#"{"presence":{"added":{"address":"nowhere"}}}"#,
            r#"{"max_conns":{"limit":0}}"#,
        ] {
            assert!(serde_json::from_str::<ServerOverride>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_patch_sets_and_resets_its_fields_and_keeps_the_rest() {
        let before = change(r#"{"state":"maint","weight":3}"#);
        let patch = ServerPatch { state: Patch::Reset, weight: Patch::Keep, max_conns: Patch::Set(MaxConns::Unlimited) };
        assert_eq!(before.patched(patch), change(r#"{"weight":3,"max_conns":"unlimited"}"#));
    }
}
