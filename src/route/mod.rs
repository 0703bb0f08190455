//! Finds the route for a host and a path. An exact host goes before a wildcard, a longer wildcard before a shorter one,
//! and any host comes last; then the longest path prefix wins.

use std::collections::HashMap;
use std::sync::Arc;

use crate::http::{host, path};
use crate::ids::UpstreamName;

/// Which requests go to an upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteSpec {
    /// Its name in logs and metrics: `name:` in the configuration, or made from hosts and prefix.
    pub name: Arc<str>,
    /// Empty: any host.
    pub hosts: Vec<HostPattern>,
    pub prefix: PathPrefix,
    pub upstream: UpstreamName,
}

/// `shop.example.com` or `*.example.com`, in lower case, without port or trailing dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HostPattern {
    Exact(Box<str>),
    /// Any name that ends with `.` and this.
    Under(Box<str>),
}

/// The start of a path, matched on segment boundaries: `/app` matches `/app` and `/app/x`, not `/apple`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PathPrefix(Box<str>);

/// Why a text is not a valid host pattern or path prefix.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidMatch {
    #[error("a host is a name such as shop.example.com, an address, or *.example.com, without scheme, port or path")]
    Host,
    #[error("a path prefix starts with '/' and contains no '?', '#', '%', ';' or dot segments")]
    Path,
}

/// All routes, indexed by host.
#[derive(Debug)]
pub struct Routes {
    all: Box<[RouteSpec]>,
    exact: HashMap<Box<str>, Vec<usize>, rustc_hash::FxBuildHasher>,
    under: HashMap<Box<str>, Vec<usize>, rustc_hash::FxBuildHasher>,
    any: Vec<usize>,
}

/// A route's position in [`Routes`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RouteIndex(pub usize);

impl Routes {
    pub fn new(all: Vec<RouteSpec>) -> Self {
        let mut routes = Self { all: all.into(), exact: HashMap::default(), under: HashMap::default(), any: Vec::new() };
        for (at, route) in routes.all.iter().enumerate() {
            if route.hosts.is_empty() {
                routes.any.push(at);
            }
            for host in &route.hosts {
                match host {
                    HostPattern::Exact(name) => routes.exact.entry(name.clone()).or_default().push(at),
                    HostPattern::Under(name) => routes.under.entry(name.clone()).or_default().push(at),
                }
            }
        }
        routes
    }

    pub fn all(&self) -> &[RouteSpec] {
        &self.all
    }

    /// The route for a request's Host (with or without port) and path (as sent). The path is compared in normal form,
    /// so that `/a/../b` and `/%62` match as the server will understand them, and without the parameters of its segments:
    /// many servers do not see `;jsessionid=1A2B` as part of the name.
    pub fn find(&self, host: &str, path: &str) -> Option<RouteIndex> {
        let path = path::without_parameters(path);
        let path = path::normalized(&path);
        let best = |among: &[usize]| {
            let matching = among.iter().copied().filter(|&at| self.all[at].prefix.matches(&path));
            matching.max_by_key(|&at| (self.all[at].prefix.0.len(), std::cmp::Reverse(at))).map(RouteIndex)
        };
        if self.exact.is_empty() && self.under.is_empty() {
            return best(&self.any);
        }
        let host = bare(host);
        let exact = self.exact.get(&*host).and_then(|among| best(among));
        exact
            .or_else(|| parents(&host).find_map(|name| self.under.get(name).and_then(|among| best(among))))
            .or_else(|| best(&self.any))
    }
}

/// The name in a Host header: lower case, without port and trailing dot.
fn bare(host: &str) -> std::borrow::Cow<'_, str> {
    let name = host::name(host);
    if name.bytes().any(|b| b.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// The parent domains of `host`, nearest first: `b.c`, `c` for `a.b.c`.
fn parents(host: &str) -> impl Iterator<Item = &str> {
    host.match_indices('.').map(|(at, _)| &host[at + 1..])
}

impl PathPrefix {
    /// Parses a prefix. A trailing slash makes no difference.
    ///
    /// # Errors
    /// [`InvalidMatch::Path`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidMatch> {
        let has_forbidden = text.contains(['?', '#', '%', ';']) || !text.bytes().all(|b| b.is_ascii_graphic());
        if !text.starts_with('/') || has_forbidden || path::normalized(text) != text {
            return Err(InvalidMatch::Path);
        }
        Ok(Self(text.trim_end_matches('/').into()))
    }

    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    fn matches(&self, path: &str) -> bool {
        path::has_prefix(path, &self.0)
    }

    /// Whether one prefix covers the other, so that a request may match both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.matches(&other.0) || other.matches(&self.0)
    }
}

impl HostPattern {
    /// Parses a host as written in the configuration.
    ///
    /// # Errors
    /// [`InvalidMatch::Host`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidMatch> {
        let (wildcard, name) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let address =
            name.starts_with('[') && name.ends_with(']') && name[1..name.len() - 1].parse::<std::net::Ipv6Addr>().is_ok();
        let label =
            |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !(address && !wildcard || name.split('.').all(label)) {
            return Err(InvalidMatch::Host);
        }
        let name = name.to_ascii_lowercase().into_boxed_str();
        Ok(if wildcard { Self::Under(name) } else { Self::Exact(name) })
    }

    /// Whether one host can match both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let within = |name: &str, parent: &str| name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Exact(name), Self::Under(parent)) | (Self::Under(parent), Self::Exact(name)) => within(name, parent),
            (Self::Under(a), Self::Under(b)) => a == b || within(a, b) || within(b, a),
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Under(name) => write!(f, "*.{name}"),
        }
    }
}
