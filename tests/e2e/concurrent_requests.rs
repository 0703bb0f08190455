//! Concurrent requests of one session agree on one server without knowing of each other, while one server is slow and
//! another refuses connections.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::harness::{Burdock, LogLine, Origin, Reply, Request, Site, TokenCodec, rounds, shop};

const AT_ONCE: usize = 16;
/// `web-3` refuses connections: nothing listens there.
const REFUSING: &str = "web-3";
const LEARNING: &str =
    "sticky: [{learn: {create: set_cookie:JSESSIONID, lookup: [cookie:JSESSIONID, path_parameter:jsessionid]}}]";

/// The three servers that respond, the first of them slowly. `web-3` is not among them.
fn live_servers(site: &Site) -> [Origin; 3] {
    let origins = [1, 2, 4].map(|n| site.origin(n));
    origins[0].respond_with(|_| {
        thread::sleep(Duration::from_millis(30));
        Reply::status(200)
    });
    origins
}

/// The servers that answer these requests, which are sent at the same moment, each on its own connection.
fn at_once(burdock: &Burdock, requests: &[Request]) -> BTreeSet<String> {
    let ready = Barrier::new(requests.len());
    thread::scope(|scope| {
        let ask = |request| {
            let mut wire = burdock.wire();
            ready.wait();
            wire.ask(request).served_by().to_owned()
        };
        let threads: Vec<_> = requests.iter().map(|request| scope.spawn(move || ask(request))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Asserts that one server answers all requests of a round, and that every live server answers some round. Rounds continue
/// until the last live server has had its turn, which can take long by chance.
fn all_agree(burdock: &Burdock, requests: impl Fn(usize) -> Vec<Request>) {
    let mut used = BTreeSet::new();
    for round in 0..20 * rounds(200) {
        if round >= rounds(200) && used.len() == 3 {
            break;
        }
        let servers = at_once(burdock, &requests(round));
        assert_eq!(servers.len(), 1, "round {round}: {servers:?}");
        used.extend(servers);
    }
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["web-1", "web-2", "web-4"]);
}

fn same(request: Request) -> Vec<Request> {
    vec![request; AT_ONCE]
}

#[test]
fn requests_with_one_new_name_agree_across_cookie_and_header() {
    let site = Site::new();
    let _live_servers = live_servers(&site);
    let burdock = site.shop(4, "sticky: [{hash: {key: [cookie:JSESSIONID, header:X-Session-Id]}}]");
    all_agree(&burdock, |round| {
        let web = Request::get("/").header("Cookie", &format!("JSESSIONID=fresh-{round}"));
        let mobile = Request::get("/").header("X-Session-Id", &format!("fresh-{round}"));
        [vec![web; AT_ONCE / 2], vec![mobile; AT_ONCE / 2]].concat()
    });
}

#[test]
fn requests_with_one_expired_token_agree() {
    let site = Site::new();
    let _live_servers = live_servers(&site);
    let codec = TokenCodec::new(&site, "key", "shop");
    let limited = shop(4, "sticky: [{cookie: {idle_timeout: 30m}}]");
    let burdock = site.burdock(&format!("keys: [{{file: $DIR/key}}]\n{limited}"));
    all_agree(&burdock, |_| {
        let expired = codec.old_token("web-4");
        same(Request::get("/expired").header("Cookie", &format!("BURDOCK_shop={expired}")))
    });
    let reasons: BTreeSet<_> = burdock.access_log(rounds(200) * AT_ONCE).iter().map(LogLine::reason).collect();
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["expired_idle", "redispatched"]);
}

#[test]
fn requests_with_one_name_unknown_to_the_table_agree() {
    let site = Site::new();
    let _live_servers = live_servers(&site);
    let closing = site.origin(5);
    closing.respond_with(|_| Reply::Close);
    let burdock = site.shop(5, LEARNING);
    all_agree(&burdock, |round| same(Request::get("/").header("Cookie", &format!("JSESSIONID=fresh-name-{round}"))));
}

#[test]
fn requests_with_one_name_agree_while_it_is_learned() {
    let site = Site::new();
    let live_servers = live_servers(&site);
    let closing = site.origin(5);
    closing.respond_with(|_| Reply::Close);
    for (nth, origin) in live_servers.iter().enumerate() {
        origin.respond_with(move |request| {
            thread::sleep(Duration::from_millis(if nth == 0 { 30 } else { 0 }));
            Reply::with("Set-Cookie", request.header("cookie").unwrap_or("none=1"))
        });
    }
    let burdock = site.shop(5, LEARNING);
    all_agree(&burdock, |round| {
        let web = Request::get("/").header("Cookie", &format!("JSESSIONID=fresh-name-{round}"));
        let linked = Request::get(&format!("/;jsessionid=fresh-name-{round}"));
        [vec![web; AT_ONCE / 2], vec![linked; AT_ONCE / 2]].concat()
    });
}

#[test]
fn requests_with_an_unknown_route_agree() {
    let site = Site::new();
    let _live_servers = live_servers(&site);
    let burdock = site.shop(4, "sticky: [{route: {from: {cookie: JSESSIONID, after: '.'}}}]");
    all_agree(&burdock, |round| same(Request::get("/").header("Cookie", &format!("JSESSIONID=fresh-{round}.nobody"))));
}

#[test]
fn requests_with_a_route_to_a_refusing_server_agree() {
    let site = Site::new();
    let _live_servers = live_servers(&site);
    let burdock = site.shop(4, "sticky: [{route: {from: {cookie: JSESSIONID, after: '.'}}}]");
    all_agree(&burdock, |round| same(Request::get("/").header("Cookie", &format!("JSESSIONID=fresh-{round}.{REFUSING}"))));
}

#[test]
fn requests_with_one_token_for_a_refusing_server_agree() {
    let site = Site::new();
    let _live_servers = live_servers(&site);
    let codec = TokenCodec::new(&site, "key", "shop");
    let shop = shop(4, "sticky: cookie");
    let burdock = site.burdock(&format!("keys: [{{file: $DIR/key}}]\n{shop}"));
    let tokens: Vec<String> = (0..rounds(200)).map(|_| codec.random_token(REFUSING)).collect();
    all_agree(&burdock, |round| same(Request::get("/").header("Cookie", &format!("BURDOCK_shop={}", tokens[round]))));
}

#[test]
fn requests_with_one_plain_token_for_a_refusing_server_agree() {
    let site = Site::new();
    let _live_servers = live_servers(&site);
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]";
    let shop = shop(4, "sticky: [{cookie: {name: S, token: plain}}]");
    let burdock = site.burdock(&format!("{listeners}\n{shop}"));
    all_agree(&burdock, |round| {
        let from = format!("198.51.100.{round}");
        same(Request::get("/").header("Cookie", &format!("S={REFUSING}")).header("X-Forwarded-For", &from))
    });
}

#[test]
fn pipelined_requests_without_a_name_agree() {
    for sticky in ["cookie", "[{header: {name: X-Session}}]", "[{hash: {key: 'header:X-User'}}, cookie]"] {
        let site = Site::new();
        let _live_servers = live_servers(&site);
        let burdock = site.shop(4, &format!("sticky: {sticky}"));
        let side_by_side = 10;
        let mut used = BTreeSet::new();
        for round in 0..rounds(200) / side_by_side {
            let answered = thread::scope(|scope| {
                let connections: Vec<_> = (0..side_by_side).map(|_| scope.spawn(|| pipelined(&burdock))).collect();
                connections.into_iter().map(|connection| connection.join().unwrap()).collect::<Vec<_>>()
            });
            assert!(answered.iter().all(|servers| servers.len() == 1), "round {round}: {answered:?}");
            used.extend(answered.into_iter().flatten());
        }
        assert_eq!(used.into_iter().collect::<Vec<_>>(), ["web-1", "web-2", "web-4"]);
    }
}

/// The servers that answer the requests on one connection.
fn pipelined(burdock: &Burdock) -> BTreeSet<String> {
    let mut wire = burdock.wire();
    wire.send(Request::get("/").bytes().repeat(AT_ONCE));
    (0..AT_ONCE).map(|_| wire.response().served_by().to_owned()).collect()
}
