//! A request and its response through a whole chain: any bytes are handled, and of the headers that carry the tie the server sees
//! only the application's part.
#![no_main]

mod common;

use std::sync::{Arc, LazyLock};

use burdock::balancer::StickyUpstream;
use burdock::balancer::exchange::Assignment;
use burdock::http::edits::{Edit, Edits, Spelling};
use burdock::http::request::{Request, Response, Scheme};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

use common::NOW;

const ENVELOPE: HeaderName = HeaderName::from_static("x-e");
const AFFINITY: HeaderName = HeaderName::from_static("burdock-affinity");
const CONFIG: &str = "
listeners: ['127.0.0.1:8080']
upstreams:
  shop:
    servers: [{id: a, address: '127.0.0.1:1'}, {id: b, address: '127.0.0.1:2'}]
    affinity: {obey: [release, extend, move_to]}
    sticky:
      - {cookie: {name: P, mode: prefix, token: plain}}
      - {cookie: {name: Q, mode: prefix}}
      - {header: {name: X-E, mode: envelope, token: plain}}
      - {header: {name: X-S}}
      - {cookie: {}}
";

static UPSTREAM: LazyLock<Arc<StickyUpstream>> = LazyLock::new(|| Arc::clone(&common::balancer(common::plan(CONFIG), None).upstreams()[0]));

/// Cookie or Set-Cookie lines, and the values of `X-E`, `X-S` and `Burdock-Affinity`.
type Message = (Vec<Vec<u8>>, Vec<u8>, Vec<u8>, Vec<u8>);

fuzz_target!(|input: (Message, Message)| {
    let (asked, answered) = (headers(&input.0, &COOKIE), headers(&input.1, &SET_COOKIE));
    let mut random = StdRng::seed_from_u64(1);
    let request = Request {
        method: &Method::GET,
        host: "shop.example.com",
        path: "/",
        query: None,
        headers: &asked,
        client: [192, 0, 2, 1].into(),
        scheme: Scheme::Http,
    };
    let mut exchange = UPSTREAM.receive(&request, NOW);
    let Assignment::Send { slot: _slot, .. } = exchange.pick(None, NOW, &mut random) else { panic!("refused") };
    let mut edits = Edits::default();
    exchange.edit_request(&asked, NOW, &mut edits);
    for edit in edits.iter() {
        let Edit::Set(Spelling::Usual(name), value) = edit else { continue };
        let inside = |whole: &HeaderValue| whole.as_bytes().ends_with(value.as_bytes());
        assert!([COOKIE, AFFINITY].contains(name) || *name == ENVELOPE && asked.get(name).is_some_and(inside));
    }
    assert_eq!(edits.removes(&AFFINITY), asked.contains_key(&AFFINITY));
    let settlement = exchange.settle(&Response { status: StatusCode::OK, headers: &answered }, NOW, &mut random);
    assert_eq!(settlement.edits.removes(&AFFINITY), answered.contains_key(&AFFINITY));
    let lines = answered.get_all(SET_COOKIE).iter().count();
    let is_short = |edit: &Edit| !matches!(edit, Edit::Replace(name, kept) if *name == SET_COOKIE && kept.len() > lines);
    assert!(settlement.edits.iter().all(is_short));
});

fn headers((lines, envelope, own, affinity): &Message, cookie: &HeaderName) -> HeaderMap {
    let own = (&HeaderName::from_static("x-s"), own);
    let others = [(&ENVELOPE, envelope), own, (&AFFINITY, affinity)];
    let all = lines.iter().map(|line| (cookie, line)).chain(others);
    let mut headers = HeaderMap::new();
    for (name, value) in all.filter(|(_, value)| !value.is_empty()) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    headers
}
