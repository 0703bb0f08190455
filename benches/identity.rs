//! The cost of reading a session's name from each source, including the search of the Cookie header.
//!
//! `cargo bench --no-default-features --bench identity`. Goals: at most 3 µs for a claim in a bearer token of 800 bytes,
//! and 200 ns for everything else.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic where it fails")]

use std::hint::black_box;

use base64_simd::URL_SAFE_NO_PAD;
use burdock::http::cookie::{CookieName, CookieNames};
use burdock::http::request::{Request, Scheme};
use burdock::source::{Place, Prefixes, Separator, Slice, Source};
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

fn sources(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("source");
    let headers = headers();
    let cookie = || Place::Cookie(CookieName::parse("JSESSIONID").unwrap());
    let route = Slice { after: Separator::parse(".").ok(), ..Slice::default() };
    let user = Place::Header(HeaderName::from_static("x-user"));
    for (name, source) in [
        ("client_ip", Place::ClientIp(Prefixes { v4: 24, v6: 56 }).into()),
        ("cookie", cookie().into()),
        ("cookie, after", Source { place: cookie(), slice: route }),
        ("header", user.clone().into()),
        ("query", Place::Query("session".into()).into()),
        ("path_parameter", Place::PathParameter("jsessionid".into()).into()),
        ("path", Place::Path.into()),
        ("all", Place::All(vec![user.into(), cookie().into()]).into()),
        ("bearer_claim", Place::BearerClaim("sub".into()).into()),
    ] {
        let mut names = CookieNames::default();
        let reader = source.bind(&mut names);
        let request = Request {
            method: &Method::GET,
            host: "shop.example.com",
            path: "/shop/cart;jsessionid=1A2B3C4D5E6F.node1/items",
            query: Some("page=2&sort=price&session=1A2B3C4D5E6F"),
            headers: &headers,
            client: [192, 0, 2, 1].into(),
            scheme: Scheme::Http,
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let request = black_box(&request);
                black_box(reader.read(request, &names.find(request.headers)).unwrap());
            });
        });
    }
    group.finish();
}

fn headers() -> HeaderMap {
    let claims = r#"{"iss":"https://login.example.com/realms/shop","aud":["shop","account"],"exp":1800000300,"iat":1800000000,
        "jti":"6f1f8d1e-0d0a-4c33-9a58-0a2c3f3f6f55","typ":"Bearer","azp":"shop","scope":"openid profile email","acr":"1",
        "realm_access":{"roles":["user","offline_access"]},"resource_access":{"account":{"roles":["manage-account","view-profile"]}},
        "sub":"f3b1c2d4-5e6f-4a7b-8c9d-0e1f2a3b4c5d","name":"Ann Example","email":"ann@example.com","email_verified":true,"sid":"9a58"}"#;
    let token = format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode_to_string(r#"{"alg":"ES256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode_to_string(claims),
        URL_SAFE_NO_PAD.encode_to_string([7; 64])
    );
    assert!((750..900).contains(&token.len()), "{}", token.len());
    let cookies = "theme=dark; JSESSIONID=1A2B3C4D5E6F.node1; _ga=GA1.1.1234567890.1700000000";
    HeaderMap::from_iter([
        (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap()),
        (COOKIE, HeaderValue::from_static(cookies)),
        (HeaderName::from_static("x-user"), HeaderValue::from_static("ann")),
    ])
}

criterion_group!(benches, sources);
criterion_main!(benches);
