//! What one process leaves to the next of what it knows of an upstream's servers, by id. Of a server that has another address
//! meanwhile, or comes out of maintenance or goes into it, nothing is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::server::{LiveLegacy, Server};
use super::spec::{Address, Admin, UpstreamSpec};
use super::{ServerId, Upstream};
use crate::upstream::health_state::VitalsLegacy;

/// Fields that a later version adds are skipped by an earlier one.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct UpstreamLegacy(BTreeMap<ServerId, ServerLegacy>);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct ServerLegacy {
    address: Address,
    admin: Admin,
    #[serde(flatten)]
    live: LiveLegacy,
    vitals: VitalsLegacy,
}

impl UpstreamLegacy {
    /// The servers of which it tells: all that the upstream had.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &ServerId> {
        self.0.keys()
    }
}

impl Upstream {
    pub fn legacy(&self) -> UpstreamLegacy {
        UpstreamLegacy(self.servers.iter().map(|server| (server.id().clone(), ServerLegacy::of(server))).collect())
    }

    /// Goes on with what another process knew. For one that serves nobody yet.
    pub fn inherit(&self, legacy: &UpstreamLegacy) {
        for server in &self.servers {
            let same = |legacy: &&ServerLegacy| legacy.is_of(server);
            legacy.0.get(server.id()).filter(same).into_iter().for_each(|legacy| legacy.go_to(server, &self.spec));
        }
    }
}

impl ServerLegacy {
    fn of(server: &Server) -> Self {
        Self {
            address: server.spec().address.clone(),
            admin: server.spec().admin,
            live: server.live().legacy(),
            vitals: server.vitals().legacy(),
        }
    }

    fn is_of(&self, server: &Server) -> bool {
        let (was, is) = (self.admin == Admin::Maint, server.spec().admin == Admin::Maint);
        self.address == server.spec().address && was == is
    }

    fn go_to(&self, server: &Server, upstream: &UpstreamSpec) {
        let wished = self.live.wished.filter(|_| self.admin == server.spec().admin);
        server.live().inherit(&LiveLegacy { wished, ..self.live });
        server.vitals().inherit(&self.vitals, upstream);
    }
}
