//! The cost of a decision: claims, server selection, request edits and settling of one request, without I/O.
//!
//! `cargo bench --no-default-features --bench decision`. Goals: a hit takes at most 1 µs with a token to open, 300 ns
//! without, and 3 µs with a claim in a bearer token of 750 bytes; each further entry without a match in a Cookie header of 800
//! bytes costs at most 50 ns; and 1,000 servers cost no more than 10.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic where it fails")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use burdock::balancer::exchange::{Assignment, Settlement};
use burdock::balancer::{Balancer, StickyUpstream};
use burdock::config::Config;
use burdock::http::cookie::{CookieName, CookieNames};
use burdock::http::edits::Edits;
use burdock::http::request::{Request, Response, Scheme};
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::sticky::secrets::Secrets;
use burdock::time::{Now, Skipped, UnixSeconds, Uptime};
use burdock::token::keys::{Key, KeyRing};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;

const NOW: Now = Now {
    wall: UnixSeconds(1_800_000_000),
    subsec_millis: 0,
    uptime: Uptime(Duration::from_secs(60)),
    skipped: Skipped::NONE,
};
const OTHER_COOKIES: &str = "theme=dark; _ga=GA1.1.1234567890.1700000000";

/// A chain, and the headers of the client and the application.
struct Case {
    name: &'static str,
    chain: &'static str,
    /// Cookies that the client sends from the start.
    cookies: &'static str,
    /// Response headers of the application for a new client.
    response_headers: &'static [(&'static str, &'static str)],
}

/// A hit, by each method.
const METHODS: [Case; 12] = [
    Case { name: "cookie, sealed", chain: "[cookie]", cookies: OTHER_COOKIES, response_headers: &[] },
    Case { name: "cookie, plain", chain: "[{cookie: {token: plain}}]", cookies: OTHER_COOKIES, response_headers: &[] },
    Case {
        name: "cookie, prefix",
        chain: "[{cookie: {name: JSESSIONID, mode: prefix}}]",
        cookies: OTHER_COOKIES,
        response_headers: &[("set-cookie", "JSESSIONID=1A2B3C4D5E6F; Path=/; HttpOnly")],
    },
    Case {
        name: "cookie, rewrite",
        chain: "[{cookie: {name: JSESSIONID, mode: rewrite}}]",
        cookies: OTHER_COOKIES,
        response_headers: &[("set-cookie", "JSESSIONID=1A2B3C4D5E6F; Path=/; HttpOnly")],
    },
    Case { name: "header, sealed", chain: "[{header: {name: X-Session}}]", cookies: OTHER_COOKIES, response_headers: &[] },
    Case {
        name: "header, envelope",
        chain: "[{header: {name: X-Session, mode: envelope}}]",
        cookies: OTHER_COOKIES,
        response_headers: &[("x-session", "1868a90c-5f1d-4a0e-9c55-1f4f2a3b4c5d")],
    },
    Case {
        name: "route",
        chain: "[{route: {from: [{cookie: JSESSIONID, after: '.'}, {path_parameter: jsessionid, after: '.'}]}}]",
        cookies: "theme=dark; JSESSIONID=1A2B3C4D5E6F7A8B9C0D.s7; _ga=GA1.1.1234567890.1700000000",
        response_headers: &[],
    },
    Case {
        name: "hash, cookie",
        chain: "[{hash: {key: 'cookie:JSESSIONID'}}]",
        cookies: "theme=dark; JSESSIONID=1A2B3C4D5E6F7A8B9C0D; _ga=GA1.1.1234567890.1700000000",
        response_headers: &[],
    },
    Case { name: "hash, client_ip", chain: "[{hash: {key: client_ip}}]", cookies: OTHER_COOKIES, response_headers: &[] },
    Case {
        name: "hash, bearer_claim",
        chain: "[{hash: {key: 'bearer_claim:sub'}}]",
        cookies: OTHER_COOKIES,
        response_headers: &[],
    },
    Case {
        name: "hash, load_factor",
        chain: "[{hash: {key: client_ip, load_factor: 1.25}}]",
        cookies: OTHER_COOKIES,
        response_headers: &[],
    },
    Case { name: "none", chain: "[]", cookies: OTHER_COOKIES, response_headers: &[] },
];

fn methods(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    for case in &METHODS {
        let shop = shop(10, case.chain);
        let headers = tied(&shop, case);
        let mut random = StdRng::seed_from_u64(1);
        group.bench_function(case.name, |bencher| bencher.iter(|| decide(&shop, &headers, &HeaderMap::new(), &mut random)));
    }
    group.finish();
}

/// Responses in which the application sets its header or cookie again each time.
fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("writing");
    for case in METHODS.iter().filter(|case| !case.response_headers.is_empty()) {
        let shop = shop(10, case.chain);
        let (headers, response) = (tied(&shop, case), case.response());
        let mut random = StdRng::seed_from_u64(1);
        group.bench_function(case.name, |bencher| bencher.iter(|| decide(&shop, &headers, &response, &mut random)));
    }
    group.finish();
}

fn servers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("servers");
    for (name, case) in [("sealed", &METHODS[0]), ("plain", &METHODS[1]), ("hash", &METHODS[8])] {
        for servers in [10, 1_000] {
            let shop = shop(servers, case.chain);
            let headers = tied(&shop, case);
            let mut random = StdRng::seed_from_u64(1);
            group.bench_with_input(BenchmarkId::new(name, servers), &servers, |bencher, _| {
                bencher.iter(|| decide(&shop, &headers, &HeaderMap::new(), &mut random));
            });
        }
    }
    for servers in [10, 1_000] {
        let shop = shop(servers, "[cookie]");
        let headers = browser(OTHER_COOKIES);
        let mut random = StdRng::seed_from_u64(1);
        group.bench_with_input(BenchmarkId::new("new session", servers), &servers, |bencher, _| {
            bencher.iter(|| decide(&shop, &headers, &HeaderMap::new(), &mut random));
        });
    }
    group.finish();
}

/// Chains of entries without a match in a Cookie header of 800 bytes, followed by one that hits.
fn entries(criterion: &mut Criterion) {
    const NONE: [&str; 3] = ["{cookie: {name: ROUTE, token: plain}}", "{cookie: {name: AWSALB}}", "{cookie: {name: SRV}}"];
    let mut group = criterion.benchmark_group("entries");
    for none in 0..=3 {
        let chain = [&NONE[..none], &["{hash: {key: client_ip}}"]].concat().join(", ");
        let shop = shop(10, &format!("[{chain}]"));
        let headers = browser(&crowded());
        let mut random = StdRng::seed_from_u64(1);
        group.bench_with_input(BenchmarkId::new("without a match", none), &none, |bencher, _| {
            bencher.iter(|| decide(&shop, &headers, &HeaderMap::new(), &mut random));
        });
    }
    group.finish();
}

/// Searches a Cookie header of 800 bytes and 30 cookies for names that are not in it. Goal: at most 50 ns for each further name.
fn cookie_walk(criterion: &mut Criterion) {
    const SEARCHED: [&str; 5] = ["BURDOCK_shop", "JSESSIONID", "route", "BURDOCK_search", "AWSALB"];
    let mut group = criterion.benchmark_group("cookie_walk");
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, crowded().parse().unwrap());
    for count in [1, 2, 5] {
        let mut names = CookieNames::default();
        for name in &SEARCHED[..count] {
            names.number(&CookieName::parse(name).unwrap());
        }
        group.bench_with_input(BenchmarkId::new("names", count), &count, |bencher, _| {
            bencher.iter(|| black_box(names.find(black_box(&headers))).values(0).count());
        });
    }
    group.finish();
}

/// Names of several lengths, some with the length or the first letter of the names searched for.
fn crowded() -> String {
    const NAMES: [&str; 15] = [
        "_ga",
        "_gid",
        "theme",
        "lang",
        "currency",
        "BASKET_items",
        "JSESSION_X",
        "csrftoken",
        "_fbp",
        "cart_id",
        "A_B_group",
        "consent",
        "OptanonConsent",
        "rewards",
        "ab",
    ];
    let cookies = (0..30).map(|n| format!("{}{}=GS1.1.1700000042", NAMES[n % 15], n / 15));
    let header = cookies.collect::<Vec<_>>().join("; ");
    assert!((780..=820).contains(&header.len()), "{}", header.len());
    header
}

/// One request from its claims to its settled response.
fn decide(shop: &Arc<StickyUpstream>, headers: &HeaderMap, response: &HeaderMap, random: &mut StdRng) -> Settlement {
    let request = Request {
        method: &Method::GET,
        host: "shop.example.com",
        path: "/cart",
        query: None,
        headers,
        client: [192, 0, 2, 1].into(),
        scheme: Scheme::Http,
    };
    let mut exchange = shop.receive(black_box(&request), NOW);
    let Assignment::Send { slot: _slot, .. } = exchange.pick(None, NOW, random) else { panic!("refused") };
    let mut edits = Edits::default();
    exchange.edit_request(headers, NOW, &mut edits);
    black_box(edits);
    black_box(exchange.settle(&Response { status: StatusCode::OK, headers: response }, NOW, random))
}

/// The headers of a client that was served once.
fn tied(shop: &Arc<StickyUpstream>, case: &Case) -> HeaderMap {
    let mut headers = browser(case.cookies);
    let edits = decide(shop, &headers, &case.response(), &mut StdRng::seed_from_u64(2)).edits;
    let mut sent = HeaderMap::new();
    edits.apply(&mut sent).unwrap();
    for line in &sent.get_all(SET_COOKIE) {
        let pair = line.to_str().unwrap().split(';').next().unwrap();
        headers.insert(COOKIE, format!("{pair}; {}", case.cookies).parse().unwrap());
    }
    sent.remove(SET_COOKIE);
    headers.extend(sent);
    headers
}

impl Case {
    fn response(&self) -> HeaderMap {
        self.response_headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }
}

fn browser(cookies: &str) -> HeaderMap {
    HeaderMap::from_iter([
        ("host".parse().unwrap(), HeaderValue::from_static("shop.example.com")),
        ("user-agent".parse().unwrap(), HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")),
        ("accept".parse().unwrap(), HeaderValue::from_static("text/html,application/xhtml+xml")),
        ("accept-language".parse().unwrap(), HeaderValue::from_static("en")),
        (AUTHORIZATION, bearer()),
        (COOKIE, cookies.parse().unwrap()),
    ])
}

/// A token of 750 bytes with an ES256 signature, as identity providers issue them.
fn bearer() -> HeaderValue {
    let claims = r#"{"iss":"https://login.example.com/realms/shop","aud":["shop","account"],"exp":1800000300,"iat":1800000000,
        "jti":"6f1f8d1e-0d0a-4c33-9a58-0a2c3f3f6f55","typ":"Bearer","azp":"shop","scope":"openid profile email","acr":"1",
        "realm_access":{"roles":["user","offline_access"]},"resource_access":{"account":{"roles":["manage-account"]}},
        "sub":"f3b1c2d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d","name":"Ann Example","email":"ann@example.com","sid":"9a58"}"#;
    let parts = [r#"{"alg":"ES256","typ":"JWT"}"#.as_bytes(), claims.as_bytes(), &[7; 64]];
    let token = parts.map(|part| URL_SAFE_NO_PAD.encode_to_string(part)).join(".");
    assert!((730..850).contains(&token.len()), "{}", token.len());
    HeaderValue::from_str(&format!("Bearer {token}")).unwrap()
}

fn shop(servers: usize, chain: &str) -> Arc<StickyUpstream> {
    let servers: Vec<String> =
        (0..servers).map(|n| format!("{{id: s{n}, address: '10.0.{}.{}:80'}}", n / 250, n % 250)).collect();
    let text = format!(
        "listeners: ['127.0.0.1:8080']\nupstreams:\n  shop:\n    servers: [{}]\n    sticky: {chain}\n",
        servers.join(", ")
    );
    let config = Config::parse("bench", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let keys = KeyRing::new(vec![Key::parse(&"17".repeat(32)).unwrap()]).unwrap();
    let fingerprints = FingerprintKey::parse(&"5e".repeat(32)).unwrap();
    let secrets = Secrets::new(keys, fingerprints, []);
    let balancer = Balancer::new(config.plan, &secrets, None, NOW).unwrap();
    Arc::clone(&balancer.upstreams()[0])
}

criterion_group!(benches, methods, writing, servers, entries, cookie_walk);
criterion_main!(benches);
