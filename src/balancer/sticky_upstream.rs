//! An upstream with the chain that ties sessions to its servers. It resolves the server that a claim names, and counts
//! sessions per server.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::estimates::Estimates;
use super::spec::StickyUpstreamSpec;
use crate::http::cookie::CookieNames;
use crate::ids::UpstreamName;
use crate::lock::Mutex;
use crate::session::claim::ServerName;
use crate::session::number::SessionNumber;
use crate::session::server_ref::ServerRef;
use crate::session::server_tag::ServerTag;
use crate::source::Readers;
use crate::sticky::chain::Chain;
use crate::sticky::entry::Entry;
use crate::sticky::learn::LearnError;
use crate::sticky::learn_table::Tables;
use crate::sticky::secrets::Secrets;
use crate::table::Table;
use crate::time::{Now, Uptime};
use crate::upstream::Upstream;
use crate::upstream::server::Server;
use crate::upstream::spec::Address;

/// An upstream and the chain that ties sessions to its servers.
#[derive(Debug)]
pub struct StickyUpstream {
    spec: StickyUpstreamSpec,
    upstream: Upstream,
    chain: Chain,
    /// What `balance: hash` hashes.
    hash_key: Readers,
    /// The cookies to read from requests.
    cookies: CookieNames,
    tags: Box<[ServerTag]>,
    by_tag: HashMap<ServerTag, usize, rustc_hash::FxBuildHasher>,
    /// The servers of each route id, nearly always one.
    by_route: HashMap<Box<str>, SmallVec<[usize; 1]>, rustc_hash::FxBuildHasher>,
    /// None if no entry's tokens have an idle time.
    estimates: Option<Estimates>,
    /// The time since which it has had exactly these servers.
    since: Mutex<Uptime>,
}

/// The number of live sessions of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sessions {
    /// Sessions in tables: exact to a tenth of the idle time. None if no entry learns.
    pub learned: Option<u64>,
    /// Sessions in clients' tokens: an estimate with a standard error of 2.3 %. None if tokens have no idle time.
    pub by_token: Option<u64>,
}

impl StickyUpstream {
    pub(super) fn new(
        spec: StickyUpstreamSpec,
        secrets: &Secrets,
        tables: &Tables,
        earlier: Option<&Self>,
        now: Now,
    ) -> Result<Self, LearnError> {
        let upstream = Upstream::new(spec.upstream.clone(), earlier.map(|before| &before.upstream), now);
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
        let server_refs: Vec<ServerRef<'_>> = upstream.servers().iter().map(server_ref).collect();
        let chain = Chain::new(spec.sticky.clone(), secrets, tables, &server_refs, &mut cookies)?;
        let hash_key = Readers::bind(spec.hash_key.clone(), &mut cookies);
        let counted = earlier.and_then(|before| Some((&before.upstream, before.estimates.as_ref()?)));
        let estimates = Estimates::new(&chain, &upstream, counted);
        Ok(Self { spec, upstream, chain, hash_key, cookies, tags, by_tag, by_route, estimates, since })
    }

    /// Whether this spec and these tables would make the same upstream.
    pub(super) fn is_made_of(&self, spec: &StickyUpstreamSpec, tables: &Tables) -> bool {
        let learns_into_these = |entry: &Entry| {
            entry
                .learns()
                .is_none_or(|method| tables.get(&method.table().spec().name).is_some_and(|now| method.learns_into(now)))
        };
        self.spec == *spec && self.chain.entries().iter().all(learns_into_these)
    }

    /// The spec that it was made from.
    pub fn spec(&self) -> &StickyUpstreamSpec {
        &self.spec
    }

    pub fn name(&self) -> &UpstreamName {
        self.upstream.name()
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The tag of the server at this position.
    pub(super) fn tag(&self, at: usize) -> ServerTag {
        self.tags[at]
    }

    /// What `balance: hash` hashes.
    pub(super) fn hash_key(&self) -> &Readers {
        &self.hash_key
    }

    /// The cookies to read from requests.
    pub(super) fn cookies(&self) -> &CookieNames {
        &self.cookies
    }

    /// The time since which it has had exactly these servers.
    pub(super) fn since(&self) -> Uptime {
        *self.since.lock()
    }

    /// Sets an earlier time since which it has had these servers, known from another process.
    pub(super) fn set_since(&self, since: Uptime) {
        *self.since.lock() = since;
    }

    /// The tables of its learn entries. A table that several entries share occurs several times.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.chain.entries().iter().filter_map(|entry| entry.learns().map(|learn| learn.table()))
    }

    /// The live sessions of the server at this position.
    pub fn sessions(&self, at: usize, now: Now) -> Sessions {
        let mut tables: SmallVec<[&Arc<Table>; 2]> = SmallVec::new();
        let mut learned = None;
        for entry in self.chain.entries() {
            let Some(learn) = entry.learns() else { continue };
            // Two entries may share a table.
            if !tables.iter().any(|table| Arc::ptr_eq(table, learn.table())) {
                tables.push(learn.table());
                learned = Some(learned.unwrap_or(0) + learn.live(at, now));
            }
        }
        Sessions { learned, by_token: self.estimates.as_ref().map(|estimates| estimates.live(at, now.wall)) }
    }

    /// A token of this session was made for the server at this position.
    pub(super) fn token_made(&self, at: usize, session: SessionNumber, now: Now) {
        if let Some(estimates) = &self.estimates {
            estimates.seen(at, session, now.wall);
        }
    }

    /// The servers that a claim may mean, of which the first that can serve is used. Empty if there is none.
    pub(super) fn resolve(&self, name: &ServerName<'_>) -> SmallVec<[usize; 1]> {
        let one = |at: Option<usize>| at.into_iter().collect();
        match name {
            ServerName::Tag(tag) => one(self.by_tag.get(tag).copied()),
            ServerName::Id(id) => one(self.upstream.position(id)),
            ServerName::Route(route) => self.by_route.get(&**route).cloned().unwrap_or_default(),
            ServerName::Stranger => SmallVec::new(),
        }
    }
}

fn server_ref(server: &Server) -> ServerRef<'_> {
    let address = match server.spec().address {
        Address::Inet(address) => Some(address),
        Address::Unix(_) => None,
    };
    ServerRef { id: server.id(), route: server.route(), address }
}
