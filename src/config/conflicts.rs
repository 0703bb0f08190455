//! Conflicts between upstreams: cookies that a browser would send to both, and servers that have the same tag in
//! tokens.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::host_index::HostIndex;
use super::route::PlacedRoute;
use crate::balancer::spec::StickyUpstreamSpec;
use crate::config::schema::errors::{Findings, Location};
use crate::http::set_cookie::{Attributes, CookieDomain, narrowest};
use crate::ids::{ServerId, UpstreamName};
use crate::route::{HostPattern, PathPrefix, RouteSpec};
use crate::session::server_tag::ServerTag;
use crate::sticky::cookie::CookieSpec;
use crate::sticky::method::MethodSpec;

/// An upstream, and where its parts were written.
pub(crate) struct PlacedUpstream {
    pub(crate) spec: StickyUpstreamSpec,
    pub(crate) servers_at: Vec<Location>,
    pub(crate) addresses_at: Vec<Location>,
    pub(crate) found_at: Vec<Location>,
    pub(crate) entries_at: Vec<Location>,
}

pub(crate) fn check(upstreams: &[PlacedUpstream], routes: &[PlacedRoute], findings: &mut Findings) {
    check_tags(upstreams, findings);
    let routes = routes_by_upstream(routes);
    for (nth, earlier) in sharing(upstreams, &routes) {
        check_cookies(&upstreams[nth], &upstreams[earlier], &routes, findings);
    }
}

/// The routes that lead to each upstream.
type Routed<'r> = HashMap<&'r UpstreamName, Vec<&'r RouteSpec>>;

fn routes_by_upstream(routes: &[PlacedRoute]) -> Routed<'_> {
    let mut by_upstream = Routed::new();
    for route in routes {
        by_upstream.entry(&route.spec.upstream).or_default().push(&route.spec);
    }
    by_upstream
}

/// The pairs of upstreams, later and earlier, with cookies of one name on hosts that one browser may use together: all
/// pairs that can conflict, and few others, since comparing every pair of thousands of upstreams takes seconds.
fn sharing(upstreams: &[PlacedUpstream], routes: &Routed<'_>) -> BTreeSet<(usize, usize)> {
    let mut by_cookie: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (nth, upstream) in upstreams.iter().enumerate() {
        for (cookie, _) in cookies(upstream) {
            let of_name = by_cookie.entry(cookie.name.as_str()).or_default();
            if of_name.last() != Some(&nth) {
                of_name.push(nth);
            }
        }
    }
    let mut pairs = BTreeSet::new();
    let scope = |nth: usize| &upstreams[nth].spec.sticky.scope;
    for of_name in by_cookie.values().filter(|of_name| of_name.iter().any(|&nth| scope(nth) != scope(of_name[0]))) {
        let mut seen = HostIndex::default();
        for &nth in of_name {
            let hosts = hosts(&upstreams[nth], routes);
            pairs.extend(seen.meeting(&hosts).into_iter().map(|earlier| (nth, earlier)));
            seen.add(nth, hosts);
        }
    }
    pairs
}

/// The hosts of an upstream's routes, and those that its cookies are sent to. Empty: any.
fn hosts(upstream: &PlacedUpstream, routes: &Routed<'_>) -> BTreeSet<HostPattern> {
    let own = || routes_of(upstream, routes).flat_map(|route| &route.hosts);
    if routes_of(upstream, routes).any(|route| route.hosts.is_empty()) {
        return BTreeSet::new();
    }
    let sent = cookies(upstream).flat_map(|(cookie, _)| own().flat_map(|host| receiving(host, &cookie.attributes.domains)));
    sent.chain(own().cloned()).collect()
}

/// Two servers of one scope with the same tag: a token for one would also name the other.
fn check_tags(upstreams: &[PlacedUpstream], findings: &mut Findings) {
    let mut first: HashMap<(&str, ServerTag), (usize, Location)> = HashMap::new();
    for (nth, upstream) in upstreams.iter().enumerate() {
        let scope = &*upstream.spec.sticky.scope.0;
        for (id, at) in ids(upstream) {
            let (owner, earlier) = *first.entry((scope, ServerTag::of(scope, id))).or_insert((nth, at));
            if owner != nth {
                let message =
                    format!("duplicate server id {} in the sticky scope {scope}, first on line {}", id, earlier.line());
                let help = format!(
                    "if both upstreams are one application, let their routes lead to {}, with the longest timeouts and largest limits \
                     that its paths need: then its sessions hold on all paths; if not, give the servers different ids or the \
                     upstreams different scopes",
                    upstreams[owner].spec.upstream.name
                );
                findings.fault_with_help(at, message, help);
            }
        }
    }
}

/// The ids of its servers, and the stems of those found by name.
fn ids(placed: &PlacedUpstream) -> impl Iterator<Item = (&ServerId, Location)> {
    let upstream = &placed.spec.upstream;
    let fixed = upstream.servers.iter().map(|server| &server.id).zip(placed.servers_at.iter().copied());
    fixed.chain(upstream.discovery.iter().map(|entry| &entry.stem).zip(placed.found_at.iter().copied()))
}

/// Two cookies with the same name and different scopes: a browser that uses both upstreams would send one's cookie to
/// the other, or replace it.
fn check_cookies(upstream: &PlacedUpstream, earlier: &PlacedUpstream, routes: &Routed<'_>, findings: &mut Findings) {
    if upstream.spec.sticky.scope == earlier.spec.sticky.scope {
        return;
    }
    for (cookie, at) in cookies(upstream) {
        for (other, other_at) in cookies(earlier).filter(|(other, _)| other.name == cookie.name) {
            let met = routes_of(upstream, routes).any(|mine| {
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

fn cookies(upstream: &PlacedUpstream) -> impl Iterator<Item = (&CookieSpec, Location)> {
    upstream
        .spec
        .sticky
        .entries
        .iter()
        .zip(&upstream.entries_at)
        .filter_map(|(entry, &at)| if let MethodSpec::Cookie(cookie) = &entry.method { Some((cookie, at)) } else { None })
}

fn routes_of<'r>(upstream: &PlacedUpstream, routes: &'r Routed<'_>) -> impl Iterator<Item = &'r RouteSpec> {
    routes.get(&upstream.spec.upstream.name).into_iter().flatten().copied()
}

/// Whether browsers send a cookie set on route `from` with requests on route `to` (RFC 6265bis, 5.8.3).
fn reaches(cookie: &Attributes, from: &RouteSpec, to: &RouteSpec) -> bool {
    let hosts: Vec<HostPattern> = from.hosts.iter().flat_map(|host| receiving(host, &cookie.domains)).collect();
    let any = hosts.is_empty() || to.hosts.is_empty();
    let host = any || hosts.iter().any(|host| to.hosts.iter().any(|other| host.overlaps(other)));
    host && cookie.path.as_ref().is_none_or(|path| {
        // A path that is no valid prefix counts as reaching everywhere, like a path that the browser chooses.
        PathPrefix::parse(path.as_str()).map_or(true, |path| path.overlaps(&to.prefix))
    })
}

/// The hosts that get a cookie set on `host`.
fn receiving(host: &HostPattern, domains: &[CookieDomain]) -> Vec<HostPattern> {
    match host {
        HostPattern::Exact(name) => match narrowest(domains, name) {
            Some(at) => with_all_below(&domains[at]),
            None => vec![host.clone()],
        },
        // Each host below may be covered by a different domain, or by none.
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
