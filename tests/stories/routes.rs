//! Which route a request matches.

use burdock::http::path;
use burdock::ids::UpstreamName;
use burdock::route::{HostPattern, PathPrefix, RouteSpec, Routes};
use proptest::prelude::*;

/// Routes written as `host/prefix`, with several hosts separated by `|` and none for every host.
fn routes(written: &[&str]) -> Routes {
    Routes::new(written.iter().map(|text| route(text)).collect())
}

fn route(text: &str) -> RouteSpec {
    let (hosts, prefix) = text.split_at(text.find('/').unwrap());
    RouteSpec {
        name: text.into(),
        hosts: hosts.split('|').filter(|host| !host.is_empty()).map(|host| HostPattern::parse(host).unwrap()).collect(),
        prefix: PathPrefix::parse(prefix).unwrap(),
        upstream: UpstreamName::parse("shop").unwrap(),
    }
}

fn matched<'r>(routes: &'r Routes, host: &str, path: &str) -> Option<&'r str> {
    routes.find(host, path).map(|found| &*routes.all()[found.0].name)
}

#[test]
fn exact_hosts_beat_wildcards_and_wildcards_beat_no_host() {
    let routes = routes(&["/", "*.example.com/", "*.shop.example.com/", "shop.example.com/"]);
    for (host, wins) in [
        ("shop.example.com", "shop.example.com/"),
        ("eu.shop.example.com", "*.shop.example.com/"),
        ("a.eu.shop.example.com", "*.shop.example.com/"),
        ("blog.example.com", "*.example.com/"),
        ("example.com", "/"),
        ("notexample.com", "/"),
    ] {
        assert_eq!(matched(&routes, host, "/"), Some(wins), "{host}");
    }
}

#[test]
fn the_longest_prefix_of_whole_segments_wins() {
    let routes = routes(&["/", "/app", "/app/admin"]);
    for (path, wins) in [
        ("/app", "/app"),
        ("/app/", "/app"),
        ("/app/admin/users", "/app/admin"),
        ("/app/administrator", "/app"),
        ("/apple", "/"),
    ] {
        assert_eq!(matched(&routes, "any", path), Some(wins), "{path}");
    }
}

#[test]
fn a_host_without_a_matching_path_falls_through() {
    let routes = routes(&["shop.example.com/cart", "*.example.com/cart/old", "/"]);
    assert_eq!(matched(&routes, "shop.example.com", "/other"), Some("/"));
    assert_eq!(matched(&routes, "shop.example.com", "/cart/old"), Some("shop.example.com/cart"));
}

#[test]
fn hosts_match_without_case_port_or_trailing_dot() {
    let routes = routes(&["shop.example.com|[2001:db8::1]/"]);
    for host in ["shop.example.com", "SHOP.Example.com", "shop.example.com:8080", "shop.example.com.", "[2001:db8::1]:80"] {
        assert!(matched(&routes, host, "/").is_some(), "{host}");
    }
    for host in ["", "example.com", "shop.example.com.evil", "xshop.example.com"] {
        assert_eq!(matched(&routes, host, "/"), None, "{host}");
    }
}

#[test]
fn paths_are_normalized_before_matching() {
    let routes = routes(&["/app", "/admin"]);
    for path in ["/app/../admin", "/%61dmin", "/app/%2e%2e/admin/x"] {
        assert_eq!(matched(&routes, "any", path), Some("/admin"), "{path}");
    }
}

/// The simple way: looks at every route and picks the best match.
fn model<'r>(routes: &'r Routes, host: &str, path: &str) -> Option<&'r str> {
    let rank = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => (&**name == host).then_some((2, name.len())),
        HostPattern::Under(name) => {
            host.strip_suffix(&**name).is_some_and(|rest| rest.ends_with('.')).then_some((1, name.len()))
        }
    };
    let best = |route: &RouteSpec| {
        let host = if route.hosts.is_empty() { Some((0, 0)) } else { route.hosts.iter().filter_map(rank).max() };
        let prefix = route.prefix.as_str().trim_end_matches('/');
        host.filter(|_| path::has_prefix(path, prefix)).map(|host| (host, prefix.len()))
    };
    let matching =
        routes.all().iter().enumerate().filter_map(|(at, route)| best(route).map(|rank| (rank, std::cmp::Reverse(at))));
    matching.max().map(|(_, std::cmp::Reverse(at))| &*routes.all()[at].name)
}

proptest! {
    #[test]
    fn find_agrees_with_a_linear_search(
        written in proptest::collection::vec("((\\*\\.)?[ab](\\.[ab]){0,2})?(/[xy]){0,2}/", 1..8),
        host in "[ab](\\.[ab]){0,3}",
        path in "(/[xy]){0,3}/?",
    ) {
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        let routes = routes(&written);
        prop_assert_eq!(matched(&routes, &host, &path), model(&routes, &host, &path));
    }
}

#[test]
fn parameters_of_a_segment_are_no_part_of_its_name() {
    let routes = routes(&["/", "/app", "/app/admin"]);
    for (path, wins) in [
        ("/app;jsessionid=1A2B.rb", "/app"),
        ("/app;x/admin;y", "/app/admin"),
        ("/app/admin;x", "/app/admin"),
        ("/app/;x", "/app"),
        ("/app;/x/..;y/admin", "/app/admin"),
        ("/apple;x", "/"),
        ("/;app", "/"),
        ("/app%3Bx", "/"),
    ] {
        assert_eq!(matched(&routes, "", path), Some(wins), "{path}");
    }
}

#[test]
fn a_path_prefix_has_no_parameters() {
    assert!(PathPrefix::parse("/app;v=1").is_err());
}
