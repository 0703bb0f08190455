//! A server entry with a name, and the servers that an answer creates from it.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Answer, Discovered, Lookup};
use crate::ids::ServerId;
use crate::upstream::spec::{Address, Admin, MAX_SERVERS, ServerSpec, Tier, Weight};

/// An entry of an upstream's servers that stands for all servers found by its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DiscoverySpec {
    /// The start of its servers' ids; `@` and the address follow.
    pub stem: ServerId,
    pub lookup: Lookup,
    pub template: Template,
    /// How many servers with an address come before it, which is the place of its servers in the order.
    pub place: usize,
}

/// The settings that all servers of an entry share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    pub route: Option<ServerId>,
    /// None: as in the SRV records, or 1 without SRV.
    pub weight: Option<Weight>,
    /// If primary, the servers with the lowest SRV priority are primaries and the others are backups.
    pub tier: Tier,
    pub max_conns: Option<NonZeroU32>,
    pub admin: Admin,
}

impl DiscoverySpec {
    /// The servers of an answer: primaries before backups, each sorted by address.
    fn servers(&self, answer: &Answer) -> Vec<Arc<ServerSpec>> {
        let template = &self.template;
        let mut servers: Vec<_> = answer
            .tiers_and_weights()
            .into_iter()
            .filter_map(|(address, tier, weight)| {
                Some(Arc::new(ServerSpec {
                    id: self.lookup.id(&self.stem, address)?,
                    route: template.route.clone(),
                    address: Address::Inet(address),
                    host: Some(self.lookup.host(address)),
                    weight: template.weight.unwrap_or(weight),
                    tier: if template.tier == Tier::Backup { Tier::Backup } else { tier },
                    max_conns: template.max_conns,
                    admin: template.admin,
                }))
            })
            .collect();
        servers.sort_by_key(|server| server.tier == Tier::Backup);
        servers
    }
}

/// All servers of an upstream: those with an address, and at the place of each entry the servers found for it. Of two
/// with the same id, the one with an address wins, then the first.
pub fn expand(fixed: &[Arc<ServerSpec>], entries: &[DiscoverySpec], discovered: &Discovered) -> Vec<Arc<ServerSpec>> {
    let mut taken: HashSet<ServerId> = fixed.iter().map(|server| server.id.clone()).collect();
    let mut servers = Vec::with_capacity(fixed.len());
    for place in 0..=fixed.len() {
        let here = entries.iter().filter(|entry| entry.place.min(fixed.len()) == place);
        let found = here.flat_map(|entry| discovered.get(&entry.lookup).map(|answer| entry.servers(answer)));
        servers.extend(found.flatten().filter(|server| taken.insert(server.id.clone())));
        servers.extend(fixed.get(place).cloned());
    }
    servers.truncate(MAX_SERVERS);
    servers
}
