//! What upstreams say of each other: cookies that one browser would send to both, and servers that one token would name.

use std::collections::HashMap;

use super::route::Placed;
use crate::balancer::spec::StickyUpstreamSpec;
use crate::config::schema::errors::{Findings, Location};
use crate::http::set_cookie::{Attributes, CookieDomain, narrowest};
use crate::ids::ServerId;
use crate::route::{HostPattern, PathPrefix, RouteSpec};
use crate::session::server_tag::ServerTag;
use crate::sticky::cookie::CookieSpec;
use crate::sticky::method::MethodSpec;

/// A pool and where its parts were written.
pub(crate) struct PlacedUpstream {
    pub(crate) spec: StickyUpstreamSpec,
    pub(crate) servers_at: Vec<Location>,
    pub(crate) found_at: Vec<Location>,
    pub(crate) entries_at: Vec<Location>,
}

pub(crate) fn check(pools: &[PlacedUpstream], routes: &[Placed], findings: &mut Findings) {
    check_tags(pools, findings);
    for (nth, pool) in pools.iter().enumerate() {
        for earlier in &pools[..nth] {
            check_cookies(pool, earlier, routes, findings);
        }
    }
}

/// Two servers of one scope with one tag: a token of the one would be taken for the other's.
fn check_tags(pools: &[PlacedUpstream], findings: &mut Findings) {
    let mut first: HashMap<(&str, ServerTag), (usize, Location)> = HashMap::new();
    for (nth, pool) in pools.iter().enumerate() {
        let scope = &*pool.spec.sticky.scope.0;
        for (id, at) in ids(pool) {
            let (owner, earlier) = *first.entry((scope, ServerTag::of(scope, id))).or_insert((nth, at));
            if owner != nth {
                let message =
                    format!("duplicate server id {} in the sticky scope {scope}, first on line {}", id, earlier.line());
                findings.fault_with_help(at, message, "upstreams that share a scope need different server ids");
            }
        }
    }
}

/// The ids of its servers, and what those that are found by name have in common.
fn ids(pool: &PlacedUpstream) -> impl Iterator<Item = (&ServerId, Location)> {
    let upstream = &pool.spec.upstream;
    let fixed = upstream.servers.iter().map(|server| &server.id).zip(pool.servers_at.iter().copied());
    fixed.chain(upstream.discovery.iter().map(|entry| &entry.stem).zip(pool.found_at.iter().copied()))
}

/// Two cookies of one name and different scopes: a browser that has been to both upstreams would send either one's cookie, or
/// replace the one by the other.
fn check_cookies(pool: &PlacedUpstream, earlier: &PlacedUpstream, routes: &[Placed], findings: &mut Findings) {
    if pool.spec.sticky.scope == earlier.spec.sticky.scope {
        return;
    }
    for (cookie, at) in cookies(pool) {
        for (other, other_at) in cookies(earlier).filter(|(other, _)| other.name == cookie.name) {
            let met = routes_of(pool, routes).any(|mine| {
                let meets = |theirs| reaches(&cookie.attributes, mine, theirs) || reaches(&other.attributes, theirs, mine);
                routes_of(earlier, routes).any(meets)
            });
            if met {
                let name = cookie.name.as_str();
                let message = format!(
                    "the cookie {name} would also be sent to upstream {} (line {})",
                    earlier.spec.upstream.name,
                    other_at.line()
                );
                findings.fault_with_help(at, message, "use different cookie names, or one sticky_scope for both upstreams");
            }
        }
    }
}

fn cookies(pool: &PlacedUpstream) -> impl Iterator<Item = (&CookieSpec, Location)> {
    pool.spec
        .sticky
        .entries
        .iter()
        .zip(&pool.entries_at)
        .filter_map(|(entry, &at)| if let MethodSpec::Cookie(cookie) = &entry.method { Some((cookie, at)) } else { None })
}

fn routes_of<'r>(pool: &PlacedUpstream, routes: &'r [Placed]) -> impl Iterator<Item = &'r RouteSpec> {
    let name = pool.spec.upstream.name.clone();
    routes.iter().map(|route| &route.spec).filter(move |route| route.upstream == name)
}

/// Whether a cookie that was set on route `from` comes with requests on route `to` (RFC 6265bis, 5.8.3).
fn reaches(cookie: &Attributes, from: &RouteSpec, to: &RouteSpec) -> bool {
    let hosts: Vec<HostPattern> = from.hosts.iter().flat_map(|host| receiving(host, &cookie.domains)).collect();
    let any = hosts.is_empty() || to.hosts.is_empty();
    let host = any || hosts.iter().any(|host| to.hosts.iter().any(|other| host.overlaps(other)));
    host && cookie.path.as_ref().is_none_or(|path| {
        // A path that no route's prefix could be is taken to reach everywhere, as one that the browser chooses may.
        PathPrefix::parse(path.as_str()).map_or(true, |path| path.overlaps(&to.prefix))
    })
}

/// The hosts that a cookie goes to which was set on `host`.
fn receiving(host: &HostPattern, domains: &[CookieDomain]) -> Vec<HostPattern> {
    match host {
        HostPattern::Exact(name) => match narrowest(domains, name) {
            Some(at) => with_all_below(&domains[at]),
            None => vec![host.clone()],
        },
        // Each host below may have another of the domains, or none.
        HostPattern::Under(_) => {
            let covered = |domain: &&CookieDomain| with_all_below(domain).iter().any(|covered| covered.overlaps(host));
            domains.iter().filter(covered).flat_map(with_all_below).chain([host.clone()]).collect()
        }
    }
}

fn with_all_below(domain: &CookieDomain) -> Vec<HostPattern> {
    let name: Box<str> = domain.as_str().to_ascii_lowercase().into();
    vec![HostPattern::Exact(name.clone()), HostPattern::Under(name)]
}
