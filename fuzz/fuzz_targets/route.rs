//! Any host and path can be matched, and a normalized path stays unchanged.
#![no_main]

use std::sync::LazyLock;

use burdock::http::path::normalized;
use burdock::route::{HostPattern, PathPrefix, RouteSpec, Routes};
use burdock::ids::UpstreamName;
use libfuzzer_sys::fuzz_target;

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let upstream = UpstreamName::parse("shop").expect("a name");
    let route = |host: &str, prefix: &str| RouteSpec {
        name: "route".into(),
        hosts: vec![HostPattern::parse(host).expect("a host")],
        prefix: PathPrefix::parse(prefix).expect("a prefix"),
        upstream: upstream.clone(),
    };
    Routes::new(vec![route("shop.example.com", "/app"), route("*.example.com", "/")])
});

fuzz_target!(|target: (&str, &str)| {
    let (host, path) = target;
    let once = normalized(path);
    assert_eq!(normalized(&once), once);
    let _ = ROUTES.find(host, path);
});
