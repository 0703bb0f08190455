//! The state of an upstream's servers, by id, that an upgrade hands over to the new process. A server whose address has
//! changed, or that enters or leaves maintenance, starts without it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::server::{LiveHandoff, Server};
use super::spec::{Address, Admin, UpstreamSpec};
use super::upstream::Upstream;
use crate::ids::ServerId;
use crate::upstream::health::Condition;
use crate::upstream::health_state::handoff::HealthHandoff;

/// An older version skips fields that a newer one adds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct UpstreamHandoff(BTreeMap<ServerId, ServerHandoff>);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct ServerHandoff {
    address: Address,
    admin: Admin,
    #[serde(flatten)]
    live: LiveHandoff,
    #[serde(rename = "vitals")]
    health_state: HealthHandoff,
}

impl UpstreamHandoff {
    /// All servers that the upstream had.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &ServerId> {
        self.0.keys()
    }
}

impl Upstream {
    pub fn handoff(&self) -> UpstreamHandoff {
        UpstreamHandoff(self.servers().iter().map(|server| (server.id().clone(), ServerHandoff::of(server))).collect())
    }

    /// Restores the state from another process. Only for an upstream that serves no requests yet.
    pub fn inherit(&self, handoff: &UpstreamHandoff) {
        for server in self.servers() {
            let same = |handoff: &&ServerHandoff| handoff.matches(server);
            if let Some(handoff) = handoff.0.get(server.id()).filter(same) {
                handoff.restore(server, self.spec());
            }
        }
    }
}

impl Upstream {
    /// Adopts what another process, which serves at the same time, knows later than this one. Returns the servers whose condition
    /// changed.
    pub fn adopt(&self, handoff: &UpstreamHandoff) -> Vec<(&Server, Condition)> {
        let adopt = |server: &'_ Server| {
            let handoff = handoff.0.get(server.id()).filter(|handoff| handoff.matches(server))?;
            server.live().adopt(&handoff.live);
            server.health_state().adopt(&handoff.health_state, self.spec())
        };
        self.servers().iter().filter_map(|server| Some((server, adopt(server)?))).collect()
    }
}

impl ServerHandoff {
    fn of(server: &Server) -> Self {
        Self {
            address: server.spec().address.clone(),
            admin: server.spec().admin,
            live: server.live().handoff(),
            health_state: server.health_state().handoff(),
        }
    }

    fn matches(&self, server: &Server) -> bool {
        let (was, is) = (self.admin == Admin::Maint, server.spec().admin == Admin::Maint);
        self.address == server.spec().address && was == is
    }

    fn restore(&self, server: &Server, upstream: &UpstreamSpec) {
        let admin_changed = self.live.admin_changed.filter(|_| self.admin == server.spec().admin);
        server.live().inherit(&LiveHandoff { admin_changed, ..self.live });
        server.health_state().inherit(&self.health_state, upstream);
    }
}
