//! What one process leaves to the next of what it knows of all servers. Sessions are not among it: tables have a way of their
//! own, and how many sessions clients carry in tokens is counted anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Uptime;
use crate::upstream::UpstreamName;
use crate::upstream::handoff::UpstreamLegacy;

use super::{Balancer, Pool};

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Legacy(BTreeMap<UpstreamName, PoolLegacy>);

/// Fields that a later version adds are skipped by an earlier one, and those that an earlier one does not have are empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct PoolLegacy {
    /// Since when it has had these servers and no others.
    since: Option<Uptime>,
    servers: UpstreamLegacy,
}

impl Balancer {
    pub fn legacy(&self) -> Legacy {
        Legacy(self.pools.iter().map(|pool| (pool.upstream.name().clone(), pool.legacy())).collect())
    }

    /// Goes on with what another process knew, whose uptime this one goes on with, too. For one that serves nobody yet.
    pub fn inherit(&self, legacy: &Legacy) {
        for pool in &self.pools {
            legacy.0.get(pool.upstream.name()).into_iter().for_each(|legacy| pool.inherit(legacy));
        }
    }
}

impl Pool {
    fn legacy(&self) -> PoolLegacy {
        PoolLegacy { since: Some(*self.since.lock()), servers: self.upstream.legacy() }
    }

    /// Where the configuration names other servers meanwhile, it has had those since now.
    fn inherit(&self, legacy: &PoolLegacy) {
        self.upstream.inherit(&legacy.servers);
        let since = legacy.since.filter(|_| self.upstream.consists_of(legacy.servers.ids()));
        since.into_iter().for_each(|since| *self.since.lock() = since);
    }
}
