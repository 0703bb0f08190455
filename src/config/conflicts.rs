//! Conflicts between upstreams: cookies that a browser would send to both, and servers that have the same tag in
//! tokens.

use std::collections::HashMap;

use super::route::PlacedRoute;
use crate::balancer::spec::StickyUpstreamSpec;
use crate::config::schema::errors::{Findings, Location};
use crate::http::set_cookie::{Attributes, CookieDomain, narrowest};
use crate::ids::ServerId;
use crate::route::{HostPattern, PathPrefix, RouteSpec};
use crate::session::server_tag::ServerTag;
use crate::sticky::cookie::CookieSpec;
use crate::sticky::method::MethodSpec;

/// An upstream, and where its parts were written.
pub(crate) struct PlacedUpstream {
    pub(crate) spec: StickyUpstreamSpec,
    pub(crate) servers_at: Vec<Location>,
    pub(crate) found_at: Vec<Location>,
    pub(crate) entries_at: Vec<Location>,
}

pub(crate) fn check(upstreams: &[PlacedUpstream], routes: &[PlacedRoute], findings: &mut Findings) {
    check_tags(upstreams, findings);
    for (nth, upstream) in upstreams.iter().enumerate() {
        for earlier in &upstreams[..nth] {
            check_cookies(upstream, earlier, routes, findings);
        }
    }
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
fn check_cookies(upstream: &PlacedUpstream, earlier: &PlacedUpstream, routes: &[PlacedRoute], findings: &mut Findings) {
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

fn routes_of<'r>(upstream: &PlacedUpstream, routes: &'r [PlacedRoute]) -> impl Iterator<Item = &'r RouteSpec> {
    let name = upstream.spec.upstream.name.clone();
    routes.iter().map(|route| &route.spec).filter(move |route| route.upstream == name)
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
