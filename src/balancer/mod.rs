//! From what a request claims to the server that gets it, and from the response to what becomes of the tie:
//! claims → assignment → redispatch* → settle.

pub mod connection;
pub mod exchange;
mod settle;
pub mod spec;
pub mod words;

use std::collections::HashMap;
use std::sync::Arc;

use crate::http::request::Request;
use crate::route::{RouteIndex, RouteSpec, Routes};
use crate::sticky::Chain;
use crate::sticky::claim::ServerName;
use crate::sticky::identity::Source;
use crate::sticky::token::ServerTag;
use crate::sticky::token::keys::KeyRing;
use crate::time::{Now, Uptime};
use crate::upstream::{Upstream, UpstreamName};
use exchange::Exchange;
pub use settle::Settlement;
use spec::{Plan, PoolSpec};

/// One configuration at work: a snapshot that is published whole.
#[derive(Debug)]
pub struct Balancer {
    routes: Routes,
    /// The pool of each route, by its index.
    by_route: Box<[Arc<Pool>]>,
    pools: Box<[Arc<Pool>]>,
}

/// An upstream and the chain that ties sessions to its servers.
#[derive(Debug)]
pub struct Pool {
    upstream: Upstream,
    chain: Chain,
    hash_key: Option<Source>,
    tags: Box<[ServerTag]>,
    by_tag: HashMap<ServerTag, usize, rustc_hash::FxBuildHasher>,
    /// When this configuration came into force: since then operators' states hold.
    since: Uptime,
}

impl Balancer {
    /// Makes the balancer for a plan. What servers of the same upstream and id have lived through in `earlier` is kept.
    pub fn new(plan: Plan, keys: &Arc<KeyRing>, earlier: Option<&Self>, now: Now) -> Self {
        let pools: Box<[Arc<Pool>]> = plan
            .pools
            .into_iter()
            .map(|spec| {
                let before = earlier.and_then(|balancer| balancer.pool(&spec.upstream.name));
                Arc::new(Pool::new(spec, keys, before.map(|pool| &**pool), now))
            })
            .collect();
        let find = |name: &UpstreamName| pools.iter().find(|pool| pool.upstream.name() == name);
        let (routes, by_route) = plan
            .routes
            .into_iter()
            .filter_map(|route| find(&route.upstream).cloned().map(|pool| (route, pool)))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        Self { routes: Routes::new(routes), by_route: by_route.into(), pools }
    }

    /// The route for a request, by Host and path as they came.
    pub fn route(&self, host: &str, path: &str) -> Option<RouteIndex> {
        self.routes.find(host, path)
    }

    pub fn routes(&self) -> &[RouteSpec] {
        self.routes.all()
    }

    pub fn pools(&self) -> &[Arc<Pool>] {
        &self.pools
    }

    pub fn pool(&self, name: &UpstreamName) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| pool.upstream.name() == name)
    }

    /// The pool that a route leads to.
    pub fn pool_of(&self, route: RouteIndex) -> &Arc<Pool> {
        &self.by_route[route.0]
    }
}

impl Pool {
    fn new(spec: PoolSpec, keys: &Arc<KeyRing>, earlier: Option<&Self>, now: Now) -> Self {
        let upstream = Upstream::new(spec.upstream, earlier.map(|pool| &pool.upstream));
        let tags: Box<[ServerTag]> =
            upstream.servers().iter().map(|server| ServerTag::of(&spec.sticky.scope.0, server.id())).collect();
        let by_tag = tags.iter().enumerate().map(|(at, &tag)| (tag, at)).collect();
        let chain = Chain::new(spec.sticky, keys);
        Self { upstream, chain, hash_key: spec.hash_key, tags, by_tag, since: now.uptime }
    }

    /// Takes up a request: what it claims, before any server is asked.
    pub fn receive(self: &Arc<Self>, request: &Request<'_>, now: Now) -> Exchange {
        Exchange::new(Arc::clone(self), request, now)
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    fn resolve(&self, name: &ServerName) -> Option<usize> {
        match name {
            ServerName::Tag(tag) => self.by_tag.get(tag).copied(),
            ServerName::Id(id) => self.upstream.position(id),
        }
    }
}
