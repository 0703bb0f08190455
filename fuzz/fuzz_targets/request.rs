//! Any host, path, headers and previous hops lead to a decision, and a decision that is only asked for leaves no trace. The headers
//! that tell the server about hops are always valid.
#![no_main]

mod common;

use std::net::IpAddr;
use std::sync::LazyLock;

use burdock::balancer::Balancer;
use burdock::balancer::exchange::Assignment;
use burdock::http::edits::{Edit, Edits};
use burdock::http::forwarded::{Forwarding, Hop, Peer, Style, TrustedProxies, outgoing};
use burdock::http::hop_by_hop::request_hops;
use burdock::http::path::without_parameters;
use burdock::http::preflight::is_cors_preflight;
use burdock::http::request::{Request, Scheme};
use burdock::http::size::header_bytes;
use burdock::table::{Cursor, Filter};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

use common::NOW;

const CONFIG: &str = "
listeners: ['127.0.0.1:8080']
upstreams:
  shop:
    servers: [{id: a, address: '127.0.0.1:1'}, {id: b, address: '127.0.0.1:2', route: s2}, {id: c, address: '127.0.0.1:3', route: s2}]
    balance: {hash: {key: [{query: u, before: '.'}, {all: [{client_ip: {ipv4: 24, ipv6: 56}}, 'header:User-Agent']}]}}
    sticky:
      - learn:
          create: set_cookie:JSESSIONID
          lookup: ['cookie:JSESSIONID', 'path_parameter:jsessionid', 'query:sid', 'header:X-Session-Id', 'bearer_claim:sub']
          table: sessions
      - {route: {from: [{cookie: R, after: '.'}, {path_parameter: r, after: '.'}]}}
      - {hash: {key: ['bearer_claim:sub', path]}}
tables: {sessions: {capacity: 1000}}
";

const NAMES: [&str; 12] = [
    "cookie",
    "x-session-id",
    "authorization",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-proto",
    "forwarded",
    "x_real_ip",
    "burdock-affinity",
    "connection",
    "origin",
    "access-control-request-method",
];

static BALANCER: LazyLock<Balancer> = LazyLock::new(|| common::balancer(common::plan(CONFIG), None));
static TRUSTED: LazyLock<TrustedProxies> = LazyLock::new(|| {
    let networks = ["0.0.0.0/1", "::ffff:128.0.0.0/98", "fd00::/8"];
    TrustedProxies::new(networks.iter().map(|network| network.parse().expect("a network")).collect())
});

/// Host, path after its first slash, query, headers by the index of their names in the list, and the peer.
type Input<'a> = (&'a str, &'a str, Option<&'a str>, Vec<(u8, Vec<u8>)>, Result<[u8; 4], [u8; 16]>);

fuzz_target!(|input: Input<'_>| {
    let (host, path, query, pairs, peer) = input;
    let path = &format!("/{path}");
    let headers = headers(&pairs);
    let peer = Peer::new(peer.map_or_else(IpAddr::from, IpAddr::from));
    let [(client, scheme), ..] = [Style::XForwarded, Style::Rfc7239, Style::Both].map(|style| {
        let forwarding = Forwarding { trusted: &TRUSTED, style };
        let client = forwarding.client_address(peer.address(), &headers);
        assert!(client == peer.address() || TRUSTED.trusts(peer.address()));
        let scheme = forwarding.scheme(peer.address(), Scheme::Http, &headers);
        let mut edits = Edits::default();
        outgoing(&Hop { peer: &peer, scheme, headers: &headers }, forwarding, &mut edits);
        let set = edits.iter().filter(|edit| matches!(edit, Edit::Set(..))).count();
        assert!(set <= 3 && (TRUSTED.trusts(peer.address()) || set >= 1));
        check_next(client, style, headers.clone(), edits);
        (client, scheme)
    });
    let _ = (request_hops(&headers), is_cors_preflight(&Method::OPTIONS, &headers), without_parameters(path));
    assert!(header_bytes(&Method::GET, &Uri::from_static("/"), &headers) > 0);
    let Some(route) = BALANCER.route(host, path) else { return };
    let request = Request { method: &Method::GET, host, path, query, headers: &headers, client, scheme };
    let decide = || {
        let mut exchange = BALANCER.upstream_of(route).preview(&request, NOW);
        match exchange.pick(None, NOW, &mut StdRng::seed_from_u64(1)) {
            Assignment::Send { at, .. } => (at, exchange.decision().map(|decision| (decision.reason, decision.entry))),
            Assignment::Wait(_) | Assignment::Refuse(_) | Assignment::GiveUp(_) => panic!("no server is full or down"),
        }
    };
    let (first, second) = (decide(), decide());
    // Requests with a name always get the same decision, and the path is a name.
    assert_eq!(first, second);
    let table = BALANCER.tables().all().next().expect("a table");
    assert!(table.list(&Filter::default(), Cursor::default(), 1, NOW.wall).entries.is_empty());
});

/// A balancer of the same kind behind this one finds the same client.
fn check_next(client: IpAddr, style: Style, mut headers: HeaderMap, edits: Edits) {
    edits.apply(&mut headers).expect("names of headers");
    let next = Forwarding { trusted: &TRUSTED, style };
    assert_eq!(next.client_address(IpAddr::from([10, 0, 0, 9]), &headers), client);
}

fn headers(pairs: &[(u8, Vec<u8>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        headers.extend(HeaderValue::from_bytes(value).ok().map(|value| (name, value)));
    }
    headers
}
