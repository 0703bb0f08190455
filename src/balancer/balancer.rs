//! One configuration in use: routes, the upstreams that they lead to, and the session tables. It does not know where the
//! configuration comes from.

use std::collections::HashMap;
use std::sync::Arc;

use super::spec::Plan;
use super::sticky_upstream::StickyUpstream;
use crate::ids::UpstreamName;
use crate::route::{RouteIndex, RouteSpec, Routes};
use crate::sticky::learn::LearnError;
use crate::sticky::learn_table::Tables;
use crate::sticky::secrets::Secrets;
use crate::time::Now;
use crate::upstream::discovery::DnsSpec;

/// One configuration in use. It is published as a whole.
#[derive(Debug)]
pub struct Balancer {
    routes: Routes,
    /// The upstream of each route, by its index.
    by_route: Box<[Arc<StickyUpstream>]>,
    upstreams: Box<[Arc<StickyUpstream>]>,
    by_name: HashMap<UpstreamName, usize, rustc_hash::FxBuildHasher>,
    tables: Tables,
    secrets: Secrets,
    dns: DnsSpec,
}

/// Why a plan cannot be applied.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("upstream {upstream}: {why}")]
pub struct PlanError {
    pub upstream: UpstreamName,
    pub why: LearnError,
}

impl Balancer {
    /// Creates the balancer for a plan. A server with the same upstream and id as in `earlier` keeps its state; an upstream
    /// that the plan does not change is reused.
    ///
    /// # Errors
    /// A session table cannot name so many servers. The tables of `earlier` are unchanged.
    pub fn new(plan: Plan, secrets: &Secrets, earlier: Option<&Self>, now: Now) -> Result<Self, PlanError> {
        let tables = Tables::new(&plan.tables, &secrets.fingerprints, earlier.map(|balancer| &balancer.tables));
        let same_secrets = earlier.is_some_and(|earlier| earlier.secrets.agree_with(secrets));
        let upstreams: Box<[Arc<StickyUpstream>]> = plan
            .upstreams
            .into_iter()
            .map(|spec| {
                let before = earlier.and_then(|balancer| balancer.upstream(&spec.upstream.name));
                match before.filter(|before| same_secrets && before.is_made_of(&spec, &tables)) {
                    Some(same) => Ok(Arc::clone(same)),
                    None => {
                        let upstream = spec.upstream.name.clone();
                        let new = StickyUpstream::new(spec, secrets, &tables, before.map(|before| &**before), now);
                        new.map(Arc::new).map_err(|why| PlanError { upstream, why })
                    }
                }
            })
            .collect::<Result<_, _>>()?;
        tables.begin(plan.tables, now.wall);
        let by_name: HashMap<UpstreamName, usize, _> =
            upstreams.iter().enumerate().map(|(at, upstream)| (upstream.name().clone(), at)).collect();
        let find = |name: &UpstreamName| by_name.get(name).map(|&at| &upstreams[at]);
        let (routes, by_route) = plan
            .routes
            .into_iter()
            .filter_map(|route| find(&route.upstream).cloned().map(|upstream| (route, upstream)))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let secrets = secrets.clone();
        let (routes, by_route) = (Routes::new(routes), by_route.into());
        Ok(Self { routes, by_route, upstreams, by_name, tables, secrets, dns: plan.dns })
    }

    /// Call this when this configuration has replaced `earlier`: requests that wait at a full server are admitted or sent to
    /// other servers as it says.
    pub fn in_force(&self, earlier: &Self, now: Now) {
        for before in earlier.upstreams.iter().map(|before| before.upstream()) {
            before.superseded(self.upstream(before.name()).map(|next| next.upstream()));
        }
        self.upstreams.iter().for_each(|upstream| upstream.upstream().in_force(now));
    }

    /// The route of a request, by Host and path as received.
    pub fn route(&self, host: &str, path: &str) -> Option<RouteIndex> {
        self.routes.find(host, path)
    }

    pub fn routes(&self) -> &[RouteSpec] {
        self.routes.all()
    }

    pub fn upstreams(&self) -> &[Arc<StickyUpstream>] {
        &self.upstreams
    }

    pub fn upstream(&self, name: &UpstreamName) -> Option<&Arc<StickyUpstream>> {
        self.position(name).map(|at| &self.upstreams[at])
    }

    /// The position of an upstream in [`Self::upstreams`].
    pub fn position(&self, name: &UpstreamName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The session tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// How the names of servers are looked up.
    pub fn dns(&self) -> &DnsSpec {
        &self.dns
    }

    /// The upstream that a route leads to.
    pub fn upstream_of(&self, route: RouteIndex) -> &Arc<StickyUpstream> {
        &self.by_route[route.0]
    }
}
