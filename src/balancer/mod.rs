//! From what a request claims to the server that gets it, and from the response to what becomes of the tie:
//! claims → assignment → redispatch* → settle.

pub mod connection;
pub mod diff;
pub mod drain;
pub mod exchange;
pub mod handoff;
mod learning;
pub mod overrides;
pub mod reason;
mod request_info;
mod settle;
pub mod spec;

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::http::cookie::CookieNames;
use crate::http::request::Request;
use crate::lock::Mutex;
use crate::route::{RouteIndex, RouteSpec, Routes};
use crate::session::claim::ServerName;
use crate::session::estimate::Estimate;
use crate::source::Readers;
use crate::sticky::learn::{Tables, Unlearnable};
use crate::sticky::secrets::Secrets;
use crate::sticky::{Chain, Entry, EntryKind, Member};
use crate::table::Table;
use crate::time::{Now, Uptime};
use crate::token::{ServerTag, SessionNumber};
use crate::upstream::discovery::DnsSpec;
use crate::upstream::server::Server;
use crate::upstream::spec::Address;
use crate::upstream::{ServerId, Upstream, UpstreamName};
use exchange::{Exchange, Intent};
pub use settle::Settlement;
use spec::{Plan, PoolSpec};

/// One configuration at work: a snapshot that is published whole.
#[derive(Debug)]
pub struct Balancer {
    routes: Routes,
    /// The pool of each route, by its index.
    by_route: Box<[Arc<Pool>]>,
    pools: Box<[Arc<Pool>]>,
    tables: Tables,
    secrets: Secrets,
    dns: DnsSpec,
}

/// Why a plan cannot be put to work.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("upstream {upstream}: {why}")]
pub struct Unworkable {
    pub upstream: UpstreamName,
    pub why: Unlearnable,
}

/// An upstream and the chain that ties sessions to its servers.
#[derive(Debug)]
pub struct Pool {
    spec: PoolSpec,
    upstream: Upstream,
    chain: Chain,
    /// What `balance: hash` hashes.
    hash_key: Readers,
    /// The cookies that are looked for in requests.
    cookies: CookieNames,
    tags: Box<[ServerTag]>,
    by_tag: HashMap<ServerTag, usize, rustc_hash::FxBuildHasher>,
    /// The servers of each route; nearly always one.
    by_route: HashMap<Box<str>, SmallVec<[usize; 1]>, rustc_hash::FxBuildHasher>,
    /// About how many sessions live on each server by tokens, where their entries have an idle time.
    estimates: Option<Estimates>,
    /// Since when it has had these servers and no others.
    since: Mutex<Uptime>,
}

/// How many sessions live on a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sessions {
    /// Of those in tables: exact to a tenth of the idle time. None where nothing is learned.
    pub learned: Option<u64>,
    /// Of those that clients carry in tokens: an estimate, off by 2.3 % (standard error). None where tokens have no idle time.
    pub by_token: Option<u64>,
}

#[derive(Debug)]
struct Estimates {
    idle: u32,
    by_server: Box<[Arc<Estimate>]>,
}

impl Estimates {
    /// None where no entry's tokens have an idle time. What was counted in `earlier` goes on, where that time is the same.
    fn new(chain: &Chain, upstream: &Upstream, earlier: Option<&Pool>) -> Option<Self> {
        let idle = chain.entries().iter().filter_map(Entry::idle).max()?;
        let before = earlier.and_then(|pool| Some((pool, pool.estimates.as_ref().filter(|before| before.idle == idle)?)));
        let kept = |id: &ServerId| {
            before.and_then(|(pool, before)| Some(Arc::clone(&before.by_server[pool.upstream.position(id)?])))
        };
        let estimate = |server: &Server| kept(server.id()).unwrap_or_else(|| Arc::new(Estimate::new(idle)));
        Some(Self { idle, by_server: upstream.servers().iter().map(estimate).collect() })
    }
}

impl Balancer {
    /// Makes the balancer for a plan. What servers of the same upstream and id have lived through in `earlier` is kept; a pool
    /// of which nothing is said that was not said before is that of `earlier`.
    ///
    /// # Errors
    /// A session table cannot name so many servers. The tables of `earlier` go on as they were.
    pub fn new(plan: Plan, secrets: &Secrets, earlier: Option<&Self>, now: Now) -> Result<Self, Unworkable> {
        let tables = Tables::new(&plan.tables, &secrets.fingerprints, earlier.map(|balancer| &balancer.tables));
        let agree = earlier.is_some_and(|earlier| earlier.secrets.agree_with(secrets));
        let pools: Box<[Arc<Pool>]> = plan
            .pools
            .into_iter()
            .map(|spec| {
                let before = earlier.and_then(|balancer| balancer.pool(&spec.upstream.name));
                match before.filter(|pool| agree && pool.is_made_of(&spec, &tables)) {
                    Some(same) => Ok(Arc::clone(same)),
                    None => Pool::new(spec, secrets, &tables, before.map(|pool| &**pool), now).map(Arc::new),
                }
            })
            .collect::<Result<_, _>>()?;
        tables.begin(plan.tables, now.wall);
        let find = |name: &UpstreamName| pools.iter().find(|pool| pool.upstream.name() == name);
        let (routes, by_route) = plan
            .routes
            .into_iter()
            .filter_map(|route| find(&route.upstream).cloned().map(|pool| (route, pool)))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let secrets = secrets.clone();
        Ok(Self { routes: Routes::new(routes), by_route: by_route.into(), pools, tables, secrets, dns: plan.dns })
    }

    /// To be called when this configuration has come into force in the place of `earlier`: who waits at a full server is let
    /// in, or sent to look elsewhere, by what it says.
    pub fn in_force(&self, earlier: &Self, now: Now) {
        for before in &earlier.pools {
            before.upstream.superseded(self.pool(before.upstream.name()).map(|pool| &pool.upstream));
        }
        self.pools.iter().for_each(|pool| pool.upstream.in_force(now));
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

    /// The session tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// How the names of servers are looked up.
    pub fn dns(&self) -> &DnsSpec {
        &self.dns
    }

    /// The pool that a route leads to.
    pub fn pool_of(&self, route: RouteIndex) -> &Arc<Pool> {
        &self.by_route[route.0]
    }
}

impl Pool {
    fn new(
        spec: PoolSpec,
        secrets: &Secrets,
        tables: &Tables,
        earlier: Option<&Self>,
        now: Now,
    ) -> Result<Self, Unworkable> {
        let before = earlier.map(|pool| &pool.upstream);
        let upstream = Upstream::new(spec.upstream.clone(), before, now);
        let same = |before: &&Self| upstream.consists_of(before.upstream.servers().iter().map(Server::id));
        let since = Mutex::new(earlier.filter(same).map_or(now.uptime, |before| *before.since.lock()));
        let tags: Box<[ServerTag]> =
            upstream.servers().iter().map(|server| ServerTag::of(&spec.sticky.scope.0, server.id())).collect();
        let by_tag = tags.iter().enumerate().map(|(at, &tag)| (tag, at)).collect();
        let mut by_route = HashMap::<Box<str>, SmallVec<[usize; 1]>, _>::default();
        for (at, server) in upstream.servers().iter().enumerate() {
            by_route.entry(server.route().into()).or_default().push(at);
        }
        let mut cookies = CookieNames::default();
        let members: Vec<Member<'_>> = upstream.servers().iter().map(member).collect();
        let chain = Chain::new(spec.sticky.clone(), secrets, tables, &members, &mut cookies)
            .map_err(|why| Unworkable { upstream: spec.upstream.name.clone(), why })?;
        let hash_key = Readers::bind(spec.hash_key.clone(), &mut cookies);
        let estimates = Estimates::new(&chain, &upstream, earlier);
        Ok(Self { spec, upstream, chain, hash_key, cookies, tags, by_tag, by_route, estimates, since })
    }

    /// Whether it would be made anew just as it is.
    fn is_made_of(&self, spec: &PoolSpec, tables: &Tables) -> bool {
        let into_these = |entry: &Entry| match &entry.kind {
            EntryKind::Learn(learn) => tables.get(&learn.table().spec().name).is_some_and(|now| learn.learns_into(now)),
            EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Hash(_) => true,
        };
        self.spec == *spec && self.chain.entries().iter().all(into_these)
    }

    /// Takes up a request: what it claims, before any server is asked.
    pub fn receive(self: &Arc<Self>, request: &Request<'_>, now: Now) -> Exchange {
        Exchange::new(Arc::clone(self), request, Intent::Serve, now)
    }

    /// The same for a request that nobody has sent: the session that it names is not seen by that. It may be picked for, and
    /// is not to be settled.
    pub fn ask(self: &Arc<Self>, request: &Request<'_>, now: Now) -> Exchange {
        Exchange::new(Arc::clone(self), request, Intent::Ask, now)
    }

    /// What it was made from.
    pub fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The tables that its sessions are learned in, one of them more than once if it is shared.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.chain.entries().iter().filter_map(|entry| {
            let EntryKind::Learn(learn) = &entry.kind else { return None };
            Some(learn.table())
        })
    }

    /// The sessions that live on the server at this position.
    pub fn sessions(&self, at: usize, now: Now) -> Sessions {
        let mut tables: SmallVec<[&Arc<Table>; 2]> = SmallVec::new();
        let mut learned = None;
        for entry in self.chain.entries() {
            let EntryKind::Learn(learn) = &entry.kind else { continue };
            // Two entries may share a table.
            if !tables.iter().any(|table| Arc::ptr_eq(table, learn.table())) {
                tables.push(learn.table());
                learned = Some(learned.unwrap_or(0) + learn.live(at, now));
            }
        }
        Sessions { learned, by_token: self.estimates.as_ref().map(|estimates| estimates.by_server[at].live(now.wall)) }
    }

    /// A token of this session was made for the server at this position.
    fn token_made(&self, at: usize, session: SessionNumber, now: Now) {
        if let Some(estimates) = &self.estimates {
            estimates.by_server[at].seen(session, now.wall);
        }
    }

    /// The servers that a claim may mean, the first that serves to be taken. Empty where there is none.
    fn resolve(&self, name: &ServerName<'_>) -> SmallVec<[usize; 1]> {
        let one = |at: Option<usize>| at.into_iter().collect();
        match name {
            ServerName::Tag(tag) => one(self.by_tag.get(tag).copied()),
            ServerName::Id(id) => one(self.upstream.position(id)),
            ServerName::Route(route) => self.by_route.get(&**route).cloned().unwrap_or_default(),
            ServerName::Stranger => SmallVec::new(),
        }
    }
}

fn member(server: &Server) -> Member<'_> {
    let address = match server.spec().address {
        Address::Inet(address) => Some(address),
        Address::Unix(_) => None,
    };
    Member { id: server.id(), route: server.route(), address }
}
