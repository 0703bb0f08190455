//! All that a configuration says of routes and upstreams: what a [`super::Balancer`] is made from.

use std::collections::BTreeSet;

use crate::route::RouteSpec;
use crate::session::named_secret::SecretSource;
use crate::source::Source;
use crate::sticky::chain::StickySpec;
use crate::table::{BudgetSpec, TableSpec};
use crate::upstream::discovery::{Discovered, DnsSpec, Lookup};
use crate::upstream::spec::UpstreamSpec;

/// Routes and the upstreams that they lead to. Every route's upstream is among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    pub upstreams: Vec<StickyUpstreamSpec>,
    pub routes: Vec<RouteSpec>,
    /// The session tables that entries name, each with what a client's network may create in it.
    pub tables: Vec<(TableSpec, BudgetSpec)>,
    /// How the names of servers are looked up.
    pub dns: DnsSpec,
}

impl Plan {
    /// Where the secrets are that it needs beside the keys; one that is used twice comes twice.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretSource> {
        self.upstreams.iter().flat_map(|sticky| sticky.sticky.secrets())
    }

    /// What must be looked up to find all servers. One that is needed twice comes once.
    pub fn lookups(&self) -> BTreeSet<&Lookup> {
        self.upstreams.iter().flat_map(|sticky| &sticky.upstream.discovery).map(|entry| &entry.lookup).collect()
    }

    /// The same plan with the servers that were found: see [`UpstreamSpec::expanded`].
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
    /// What `balance: hash` hashes: the first that is there.
    pub hash_key: Vec<Source>,
}
