//! A plan: the routes, upstreams and tables of a configuration, from which a [`super::Balancer`] is made. Values only.

use std::collections::BTreeSet;

use crate::route::RouteSpec;
use crate::session::named_secret::SecretSource;
use crate::source::Source;
use crate::sticky::chain::StickySpec;
use crate::table::{BudgetSpec, TableSpec};
use crate::upstream::discovery::{Discovered, DnsSpec, Lookup};
use crate::upstream::spec::UpstreamSpec;

/// Routes and upstreams. The upstream of every route is among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub upstreams: Vec<StickyUpstreamSpec>,
    pub routes: Vec<RouteSpec>,
    /// The session tables that entries name, each with its creation budget.
    pub tables: Vec<(TableSpec, BudgetSpec)>,
    /// How the names of servers are looked up.
    pub dns: DnsSpec,
}

impl Plan {
    /// The secrets that it needs, apart from the keys. One that is used twice occurs twice.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.upstreams.iter().flat_map(|sticky| sticky.sticky.secrets())
    }

    /// The names to look up to find all servers, without duplicates.
    pub fn lookups(&self) -> BTreeSet<&Lookup> {
        self.upstreams.iter().flat_map(|sticky| &sticky.upstream.discovery).map(|entry| &entry.lookup).collect()
    }

    /// The plan with the discovered servers: see [`UpstreamSpec::expanded`].
    pub fn expanded(&self, discovered: &Discovered) -> Self {
        let expanded = |sticky: &StickyUpstreamSpec| StickyUpstreamSpec {
            upstream: sticky.upstream.expanded(discovered),
            ..sticky.clone()
        };
        Self { upstreams: self.upstreams.iter().map(expanded).collect(), ..self.clone() }
    }
}

/// An upstream and what ties sessions to its servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StickyUpstreamSpec {
    pub upstream: UpstreamSpec,
    pub sticky: StickySpec,
    /// What `balance: hash` hashes: the first source that the request carries.
    pub hash_key: Vec<Source>,
}
