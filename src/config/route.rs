//! `routes`: which requests go to which upstream.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;

use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::schema::read::{At, Hint, Leaf, ListOf, State};
use crate::config::schema::text::quoted;
use crate::config::schema::text::{any_of, nearest};
use crate::ids::UpstreamName;
use crate::route::{HostPattern, PathPrefix, RouteSpec};

record! {
    "a route" => struct RouteText {
        /// Its name in logs and metrics; by default made from hosts and prefix.
        name: Option<At<RouteName>>,
        /// Which requests it matches; all by default. The best match wins: exact host, longest wildcard, any host; then
        /// the longest prefix.
        r#match: At<MatchText> = "{}",
        /// The upstream that they go to.
        upstream: At<UpstreamName>,
    }
}

record! {
    "match" => struct MatchText {
        /// Names and wildcards such as "*.example.com", without port. Empty: any host.
        hosts: ListOf<HostPattern> = "[]",
        /// The start of the path, matched on segment boundaries: /app matches /app and /app/x, not /apple.
        path_prefix: PathPrefix = "/",
    }
}

/// A name for logs and metrics.
pub(super) struct RouteName;

impl Leaf for RouteName {
    type Value = String;
    const EXPECTED: &'static str = "a route's name";

    fn parse(text: &str) -> Result<String, Hint> {
        let allowed = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if allowed && (1..=128).contains(&text.len()) {
            Ok(text.to_owned())
        } else {
            Err(Hint::by("use 1 to 128 visible ASCII characters without quotes and backslashes"))
        }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^[!#-\\[\\]-~]{1,128}$"})
    }
}

/// A route, with the positions needed to compare it with others.
pub(super) struct PlacedRoute {
    pub(super) spec: RouteSpec,
    /// Where its name was written, if it has one.
    name_at: Option<Location>,
    match_at: At<()>,
}

/// The routes as written. Without any, one route sends everything to the only upstream.
pub(super) fn build(
    written: Option<At<Vec<RouteText>>>,
    upstreams: &[At<UpstreamName>],
    root: Location,
    findings: &mut Findings,
) -> Vec<PlacedRoute> {
    let Some(At { value: written, .. }) = written else {
        return catch_all(upstreams, root, findings).into_iter().collect();
    };
    let known: HashSet<&UpstreamName> = upstreams.iter().map(|name| &name.value).collect();
    let place = |route: RouteText| {
        if !known.contains(&route.upstream.value) {
            unknown_upstream(route.upstream.at, &route.upstream.value, upstreams, findings);
        }
        placed(route)
    };
    let routes: Vec<PlacedRoute> = written.into_iter().map(place).collect();
    check_names(&routes, findings);
    check_matches(&routes, findings);
    let reached: HashSet<&UpstreamName> = routes.iter().map(|route| &route.spec.upstream).collect();
    for unreached in upstreams.iter().filter(|name| !reached.contains(&name.value)) {
        findings.warning(unreached.at, "no route leads to this upstream");
    }
    routes
}

fn catch_all(upstreams: &[At<UpstreamName>], root: Location, findings: &mut Findings) -> Option<PlacedRoute> {
    match upstreams {
        [] => None,
        [only] => {
            let name = Arc::from(only.value.as_str());
            let prefix = PathPrefix::parse("/").ok()?;
            let spec = RouteSpec { name, hosts: Vec::new(), prefix, upstream: only.value.clone() };
            Some(PlacedRoute { spec, name_at: None, match_at: At { at: only.at, value: (), state: State::Sound } })
        }
        several => {
            let message = format!("expected routes for {} upstreams, found none", several.len());
            let at = findings.missing_field(root, "routes");
            let help = "routes are optional only with one upstream: write routes: [{match: {hosts: […]}, upstream: …}, …]";
            findings.fault_with_help(at, message, help);
            None
        }
    }
}

fn placed(written: RouteText) -> PlacedRoute {
    let upstream = written.upstream.value;
    let At { at, value: MatchText { hosts, path_prefix: prefix }, state } = written.r#match;
    let name_at = written.name.as_ref().map(|name| name.at);
    let name = written.name.map_or_else(|| default_name(&hosts, &prefix), |name| name.value);
    PlacedRoute {
        spec: RouteSpec { name: name.into(), hosts, prefix, upstream },
        name_at,
        match_at: At { at, value: (), state },
    }
}

fn unknown_upstream(at: Location, name: &UpstreamName, known: &[At<UpstreamName>], findings: &mut Findings) {
    let message = format!("unknown upstream {}", quoted(name.as_str()));
    let near = nearest(name.as_str(), known.iter().map(|known| known.value.as_str()));
    let near = near.and_then(|near| known.iter().find(|known| known.value.as_str() == near));
    findings.fault_with_help(
        at,
        message,
        match near {
            Some(near) => format!("did you mean {} (line {})?", near.value, near.at.line()),
            None => format!(
                "the upstreams are {}",
                any_of(known.iter().map(|known| known.value.as_str())).replace(" or ", " and ")
            ),
        },
    );
}

/// For example `shop.example.com,www.example.com/app`, with `*` for any host.
fn default_name(hosts: &[HostPattern], prefix: &PathPrefix) -> String {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let hosts = if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") };
    format!("{hosts}{}", prefix.as_str())
}

/// Default names are equal only if the matches are, which is reported anyway.
fn check_names(routes: &[PlacedRoute], findings: &mut Findings) {
    let mut first: HashMap<&str, Location> = HashMap::new();
    for PlacedRoute { spec, name_at, match_at } in routes {
        let at = name_at.unwrap_or(match_at.at);
        if let (Some(first), Some(_)) = (first.get(&*spec.name), name_at) {
            findings.fault(at, format!("duplicate route name {}, first on line {}", quoted(&spec.name), first.line()));
        }
        first.entry(&spec.name).or_insert(at);
    }
}

fn check_matches(routes: &[PlacedRoute], findings: &mut Findings) {
    let mut first: HashMap<(Option<&HostPattern>, &PathPrefix), Location> = HashMap::new();
    for PlacedRoute { spec, match_at, .. } in routes.iter().filter(|route| route.match_at.state == State::Sound) {
        let any = spec.hosts.is_empty().then_some(None);
        for host in spec.hosts.iter().map(Some).chain(any) {
            if let Some(first) = first.get(&(host, &spec.prefix)) {
                let host = host.map_or_else(|| "any host".to_owned(), ToString::to_string);
                let message =
                    format!("duplicate match for {host} with {}, first on line {}", spec.prefix.as_str(), first.line());
                findings.fault_with_help(match_at.at, message, "give one of them another host or a longer path_prefix");
            }
            first.entry((host, &spec.prefix)).or_insert(match_at.at);
        }
    }
}
