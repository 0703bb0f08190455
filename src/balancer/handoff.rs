//! What a process hands to the next one about all servers. It contains no sessions: tables are handed over separately, and
//! the estimates of sessions by token start again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::UpstreamName;
use crate::time::Uptime;
use crate::upstream::handoff::UpstreamHandoff;
use crate::upstream::health::Condition;
use crate::upstream::server::Server;

use super::balancer::Balancer;
use super::sticky_upstream::StickyUpstream;

/// The state of all servers, by upstream.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct BalancerHandoff(BTreeMap<UpstreamName, StickyUpstreamHandoff>);

/// An earlier version skips fields that it does not know; fields that an earlier version did not write are empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
struct StickyUpstreamHandoff {
    /// The time since which it has had exactly these servers.
    since: Option<Uptime>,
    servers: UpstreamHandoff,
}

impl Balancer {
    pub fn handoff(&self) -> BalancerHandoff {
        BalancerHandoff(self.upstreams().iter().map(|upstream| (upstream.name().clone(), upstream.handoff())).collect())
    }

    /// Continues with the state of another process, whose uptime this process continues too. Call it before serving
    /// requests.
    pub fn inherit(&self, handoff: &BalancerHandoff) {
        for upstream in self.upstreams() {
            if let Some(handoff) = handoff.0.get(upstream.name()) {
                upstream.inherit(handoff);
            }
        }
    }
}

impl Balancer {
    /// Adopts what another process, which serves at the same time, knows later than this one. Calls `changed` for each server whose
    /// condition changed.
    pub fn adopt(&self, handoff: &BalancerHandoff, mut changed: impl FnMut(&UpstreamName, &Server, Condition)) {
        for upstream in self.upstreams() {
            if let Some(handoff) = handoff.0.get(upstream.name()) {
                let all = upstream.upstream().adopt(&handoff.servers);
                all.into_iter().for_each(|(server, condition)| changed(upstream.name(), server, condition));
            }
        }
    }
}

impl StickyUpstream {
    fn handoff(&self) -> StickyUpstreamHandoff {
        StickyUpstreamHandoff { since: Some(self.since()), servers: self.upstream().handoff() }
    }

    /// If the configuration names other servers now, `since` starts now.
    fn inherit(&self, handoff: &StickyUpstreamHandoff) {
        self.upstream().inherit(&handoff.servers);
        if let Some(since) = handoff.since
            && self.upstream().consists_of(handoff.servers.ids())
        {
            self.set_since(since);
        }
    }
}
