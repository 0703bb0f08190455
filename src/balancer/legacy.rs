//! What one process leaves to the next of what it knows of all servers. Sessions are not among it: tables have a way of their
//! own, and how many sessions clients carry in tokens is counted anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::upstream::UpstreamName;
use crate::upstream::legacy::UpstreamLegacy;

use super::Balancer;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Legacy(BTreeMap<UpstreamName, UpstreamLegacy>);

impl Balancer {
    pub fn legacy(&self) -> Legacy {
        let of = |pool: &std::sync::Arc<super::Pool>| (pool.upstream.name().clone(), pool.upstream.legacy());
        Legacy(self.pools.iter().map(of).collect())
    }

    /// Goes on with what another process knew, whose uptime this one goes on with, too. For one that serves nobody yet.
    pub fn inherit(&self, legacy: &Legacy) {
        for pool in &self.pools {
            legacy.0.get(pool.upstream.name()).into_iter().for_each(|legacy| pool.upstream.inherit(legacy));
        }
    }
}
