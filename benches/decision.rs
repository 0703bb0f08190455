//! What a decision costs: claims, pick and settling of one request, without any I/O.
//!
//! `cargo bench --no-default-features --bench decision`. Goals: a sealed hit at most 1 µs, a plain one at most 200 ns, and no
//! more with 1,000 servers than with 10.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may end where it fails")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use burdock::balancer::exchange::Assignment;
use burdock::balancer::{Balancer, Pool};
use burdock::config::Config;
use burdock::http::request::{Request, Response, Scheme};
use burdock::sticky::token::keys::{Key, KeyRing};
use burdock::time::{Now, UnixSeconds, Uptime};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;

const NOW: Now = Now { wall: UnixSeconds(1_800_000_000), uptime: Uptime(Duration::from_secs(60)) };

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision");
    for (name, token) in [("sealed hit", "sealed"), ("plain hit", "plain")] {
        for servers in [10, 1_000] {
            let pool = pool(servers, token);
            let headers = tied(&pool);
            group.bench_with_input(BenchmarkId::new(name, servers), &servers, |bencher, _| {
                let mut random = StdRng::seed_from_u64(1);
                bencher.iter(|| decide(&pool, &headers, &mut random));
            });
        }
    }
    for servers in [10, 1_000] {
        let pool = pool(servers, "sealed");
        let headers = browser();
        group.bench_with_input(BenchmarkId::new("new session", servers), &servers, |bencher, _| {
            let mut random = StdRng::seed_from_u64(1);
            bencher.iter(|| decide(&pool, &headers, &mut random));
        });
    }
    group.finish();
}

/// One request from its claims to its settled response; the Set-Cookie that goes out, if any.
fn decide(pool: &Arc<Pool>, headers: &HeaderMap, random: &mut StdRng) -> Option<HeaderValue> {
    let request = Request {
        method: &Method::GET,
        host: "shop.example.com",
        path: "/cart",
        query: None,
        headers,
        client: [192, 0, 2, 1].into(),
        scheme: Scheme::Http,
    };
    let mut exchange = pool.receive(black_box(&request), NOW);
    let Assignment::Send { slot: _slot, .. } = exchange.pick(None, NOW, random) else { panic!("refused") };
    let response = Response { status: StatusCode::OK, headers: &HeaderMap::new() };
    black_box(exchange.settle(&response, NOW, random)).cookies.pop()
}

/// The headers of a browser that was served once.
fn tied(pool: &Arc<Pool>) -> HeaderMap {
    let set_cookie = decide(pool, &browser(), &mut StdRng::seed_from_u64(2)).expect("a cookie");
    let pair = set_cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let mut headers = browser();
    headers.insert(COOKIE, format!("theme=dark; {pair}; _ga=GA1.1.1234567890.1700000000").parse().unwrap());
    headers
}

fn browser() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("shop.example.com"));
    headers.insert("user-agent", HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"));
    headers.insert("accept", HeaderValue::from_static("text/html,application/xhtml+xml"));
    headers.insert("accept-language", HeaderValue::from_static("en"));
    headers
}

fn pool(servers: usize, token: &str) -> Arc<Pool> {
    let servers: Vec<String> =
        (0..servers).map(|n| format!("{{id: s{n}, address: '10.0.{}.{}:80'}}", n / 250, n % 250)).collect();
    let text = format!(
        "listeners: ['127.0.0.1:8080']\nupstreams:\n  shop:\n    servers: [{}]\n    sticky: [{{cookie: {{token: {token}}}}}]\n",
        servers.join(", ")
    );
    let config = Config::parse("bench", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let keys = Arc::new(KeyRing::new(vec![Key::parse(&"17".repeat(32)).unwrap()]).unwrap());
    let balancer = Balancer::new(config.plan, &keys, None, NOW);
    Arc::clone(&balancer.pools()[0])
}

criterion_group!(benches, decisions);
criterion_main!(benches);
