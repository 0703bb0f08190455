//! What one process leaves to the next of what it knows of all servers. Sessions are not among it: tables have a way of their
//! own, and how many sessions clients carry in tokens is counted anew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::UpstreamName;
use crate::time::Uptime;
use crate::upstream::handoff::UpstreamHandoff;

use super::balancer::Balancer;
use super::sticky_upstream::StickyUpstream;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct BalancerHandoff(BTreeMap<UpstreamName, StickyUpstreamHandoff>);

/// Fields that a later version adds are skipped by an earlier one, and those that an earlier one does not have are empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct StickyUpstreamHandoff {
    /// Since when it has had these servers and no others.
    since: Option<Uptime>,
    servers: UpstreamHandoff,
}

impl Balancer {
    pub fn handoff(&self) -> BalancerHandoff {
        BalancerHandoff(self.upstreams().iter().map(|upstream| (upstream.name().clone(), upstream.handoff())).collect())
    }

    /// Goes on with what another process knew, whose uptime this one goes on with, too. For one that serves nobody yet.
    pub fn inherit(&self, handoff: &BalancerHandoff) {
        for upstream in self.upstreams() {
            if let Some(handoff) = handoff.0.get(upstream.name()) {
                upstream.inherit(handoff);
            }
        }
    }
}

impl StickyUpstream {
    fn handoff(&self) -> StickyUpstreamHandoff {
        StickyUpstreamHandoff { since: Some(self.since()), servers: self.upstream().handoff() }
    }

    /// Where the configuration names other servers meanwhile, it has had those since now.
    fn inherit(&self, handoff: &StickyUpstreamHandoff) {
        self.upstream().inherit(&handoff.servers);
        if let Some(since) = handoff.since
            && self.upstream().consists_of(handoff.servers.ids())
        {
            self.set_since(since);
        }
    }
}
