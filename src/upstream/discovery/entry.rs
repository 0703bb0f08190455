//! An entry of an upstream that is a name, and the servers that an answer makes of it.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Answer, Discovered, Lookup};
use crate::ids::ServerId;
use crate::upstream::spec::{Address, Admin, MOST_SERVERS, ServerSpec, Tier, Weight};

/// An entry of an upstream's servers that stands for as many servers as are found by its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DiscoverySpec {
    /// What the ids of its servers begin with; behind it come `@` and the address.
    pub stem: ServerId,
    pub lookup: Lookup,
    pub template: Template,
    /// How many servers with an address were written before it: there its own stand in the order.
    pub place: usize,
}

/// What all servers of an entry have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    pub route: Option<ServerId>,
    /// None: as the SRV records say; 1 where there are none.
    pub weight: Option<Weight>,
    /// With primary, those of the lowest SRV priority are primaries and the others backups.
    pub tier: Tier,
    pub max_conns: Option<NonZeroU32>,
    pub admin: Admin,
}

impl DiscoverySpec {
    /// The servers that an answer makes: primaries before backups, and by address.
    fn servers(&self, answer: &Answer) -> Vec<Arc<ServerSpec>> {
        let template = &self.template;
        let mut servers: Vec<_> = answer
            .shares()
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

/// All servers of an upstream: those with an address, and at its place in the order each entry's that were found. Of two with
/// one id the one with an address counts, then the first.
pub fn expand(fixed: &[Arc<ServerSpec>], entries: &[DiscoverySpec], discovered: &Discovered) -> Vec<Arc<ServerSpec>> {
    let mut taken: HashSet<ServerId> = fixed.iter().map(|server| server.id.clone()).collect();
    let mut servers = Vec::with_capacity(fixed.len());
    for place in 0..=fixed.len() {
        let here = entries.iter().filter(|entry| entry.place.min(fixed.len()) == place);
        let found = here.flat_map(|entry| discovered.get(&entry.lookup).map(|answer| entry.servers(answer)));
        servers.extend(found.flatten().filter(|server| taken.insert(server.id.clone())));
        servers.extend(fixed.get(place).cloned());
    }
    servers.truncate(MOST_SERVERS);
    servers
}
