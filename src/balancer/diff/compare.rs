//! Compares two plans and counts the live sessions that the change moves: for a reload, and for its dry run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::difference::{Difference, DifferenceKind, Field, Moves, RemovalKind, Subject};
use super::fields;
use crate::balancer::balancer::Balancer;
use crate::balancer::spec::{Plan, StickyUpstreamSpec};
use crate::balancer::sticky_upstream::StickyUpstream;
use crate::ids::{ServerId, UpstreamName};
use crate::sticky::chain::StickySpec;
use crate::sticky::method::MethodSpec;
use crate::time::Now;
use crate::upstream::Upstream;
use crate::upstream::spec::{Admin, Removal, ServerSpec};

/// How many names are looked up on both rings.
const SAMPLE: u32 = 2_000;

/// How `after` differs from `before`. `Moves` counts the sessions that `live` has now.
pub fn between(before: &Plan, after: &Plan, live: &Balancer, now: Now) -> Vec<Difference> {
    let mut found = upstreams(before, after, live, now);
    let routes = |plan: &'_ Plan| plan.routes.iter().map(|route| (route.name.to_string(), route.clone())).collect();
    found.extend(compare(&routes(before), &routes(after), |name| Subject::Route(name.as_str().into()), fields::route));
    let tables = |plan: &'_ Plan| {
        plan.tables.iter().map(|table| (table.0.name.as_str().to_owned(), table.clone())).collect::<BTreeMap<_, _>>()
    };
    found.extend(compare(&tables(before), &tables(after), |name| Subject::Table(name.clone()), fields::table));
    if before.dns != after.dns {
        let what = DifferenceKind::Changed(fields::dns(&before.dns, &after.dns));
        found.push(Difference { place: Subject::Dns, what, moves: Moves::default() });
    }
    found
}

fn compare<T: PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    place: impl Fn(&String) -> Subject,
    fields: impl Fn(&T, &T) -> Vec<Field>,
) -> Vec<Difference> {
    let difference = |name: &String, what| Difference { place: place(name), what, moves: Moves::default() };
    let gone = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| difference(name, DifferenceKind::Removed(RemovalKind::AtOnce)));
    let others = after.iter().filter_map(|(name, now)| match before.get(name) {
        None => Some(difference(name, DifferenceKind::Added)),
        Some(then) if then != now => Some(difference(name, DifferenceKind::Changed(fields(then, now)))),
        Some(_) => None,
    });
    gone.chain(others).collect()
}

fn upstreams(before: &Plan, after: &Plan, live: &Balancer, now: Now) -> Vec<Difference> {
    let by_name = |plan: &'_ Plan| -> BTreeMap<UpstreamName, StickyUpstreamSpec> {
        plan.upstreams.iter().map(|sticky| (sticky.upstream.name.clone(), sticky.clone())).collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let mut found = Vec::new();
    for (name, sticky) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        let servers = sticky.upstream.servers.iter();
        let moves = servers.map(|server| sessions(live.upstream(name), &server.id, now)).fold(Moves::default(), Moves::plus);
        found.push(Difference {
            place: Subject::Upstream(name.clone()),
            what: DifferenceKind::Removed(RemovalKind::AtOnce),
            moves,
        });
    }
    for (name, sticky) in &after {
        match before.get(name) {
            None => found.push(Difference {
                place: Subject::Upstream(name.clone()),
                what: DifferenceKind::Added,
                moves: Moves::default(),
            }),
            Some(then) if then != sticky => found.extend(upstream(then, sticky, live.upstream(name), now)),
            Some(_) => {}
        }
    }
    found
}

fn upstream(
    before: &StickyUpstreamSpec,
    after: &StickyUpstreamSpec,
    live: Option<&Arc<StickyUpstream>>,
    now: Now,
) -> Vec<Difference> {
    let name = &after.upstream.name;
    let fields = fields::upstream(before, after);
    let broken = ties_broken(&before.sticky, &after.sticky);
    let all =
        || before.upstream.servers.iter().map(|server| sessions(live, &server.id, now)).fold(Moves::default(), Moves::plus);
    let mut moves = if broken { all() } else { Moves::default() };
    moves.hashed_permille = hashed(before, after, live, now);
    let changed = !fields.is_empty() || moves.hashed_permille > 0;
    let own =
        changed.then(|| Difference { place: Subject::Upstream(name.clone()), what: DifferenceKind::Changed(fields), moves });
    own.into_iter().chain(servers(before, after, live, now)).collect()
}

fn servers(
    before: &StickyUpstreamSpec,
    after: &StickyUpstreamSpec,
    live: Option<&Arc<StickyUpstream>>,
    now: Now,
) -> Vec<Difference> {
    let name = &after.upstream.name;
    let by_id = |sticky: &StickyUpstreamSpec| -> BTreeMap<ServerId, Arc<ServerSpec>> {
        sticky.upstream.servers.iter().map(|server| (server.id.clone(), Arc::clone(server))).collect()
    };
    let (before, servers) = (by_id(before), by_id(after));
    let difference =
        |id: &ServerId, what, moves| Difference { place: Subject::Server(name.clone(), id.clone()), what, moves };
    let gone = before.iter().filter(|(id, _)| !servers.contains_key(*id)).map(|(id, _)| match after.upstream.removal {
        Removal::Drain | Removal::DrainFor(_) => {
            difference(id, DifferenceKind::Removed(RemovalKind::Leaving), Moves::default())
        }
        Removal::Forget => difference(id, DifferenceKind::Removed(RemovalKind::AtOnce), sessions(live, id, now)),
    });
    let others = servers.iter().filter_map(|(id, server)| match before.get(id) {
        None => Some(difference(id, DifferenceKind::Added, Moves::default())),
        Some(then) if then != server => {
            let closed = |admin: Admin| admin == Admin::Maint || admin.deadline_passed(now.wall);
            let moves = if closed(server.admin) && !closed(then.admin) { sessions(live, id, now) } else { Moves::default() };
            Some(difference(id, DifferenceKind::Changed(fields::server(then, server)), moves))
        }
        Some(_) => None,
    });
    gone.chain(others).collect()
}

/// The sessions of a server, as moves.
fn sessions(live: Option<&Arc<StickyUpstream>>, id: &ServerId, now: Now) -> Moves {
    let counted = live.and_then(|sticky| Some(sticky.sessions(sticky.upstream().position(id)?, now)));
    counted.map_or_else(Moves::default, |sessions| Moves {
        learned: sessions.learned.unwrap_or(0),
        by_token: sessions.by_token.unwrap_or(0),
        hashed_permille: 0,
    })
}

/// Whether existing ties are no longer read, because the scope differs or an entry was removed.
fn ties_broken(before: &StickySpec, after: &StickySpec) -> bool {
    before.scope != after.scope
        || before.entries.iter().any(|entry| !after.entries.iter().any(|now| entry.method.reads_alike(&now.method)))
}

/// Of a thousand names that are tied only by a hash, how many get another home.
fn hashed(before: &StickyUpstreamSpec, after: &StickyUpstreamSpec, live: Option<&Arc<StickyUpstream>>, now: Now) -> u16 {
    let hashes =
        |sticky: &StickyUpstreamSpec| sticky.sticky.entries.iter().any(|entry| matches!(entry.method, MethodSpec::Hash(_)));
    let Some(live) = live.filter(|_| hashes(before) && before.upstream.servers != after.upstream.servers) else { return 0 };
    let next = Upstream::new(after.upstream.clone(), Some(live.upstream()), now);
    let home =
        |upstream: &Upstream, name: u32| upstream.home(&name.to_be_bytes()).map(|at| upstream.servers()[at].id().clone());
    let moved = (0..SAMPLE).filter(|&name| home(live.upstream(), name) != home(&next, name)).count();
    u16::try_from(moved * 1_000 / SAMPLE as usize).unwrap_or(1_000)
}
