//! A session has one number and one server across requests, connections, failovers and balancers.

use std::collections::BTreeSet;

use burdock::token::payload::Payload;

use crate::harness::{Burdock, Client, Request, Response, Site, TokenCodec, Wire, shop, wait_until, with_defaults};

const KEYS: &str = "keys: [{file: $DIR/key}]\n";

fn start(site: &Site) -> (TokenCodec, Burdock) {
    let codec = TokenCodec::new(site, "key", "shop");
    let burdock = site.burdock(&format!("{KEYS}{}", shop(3, "sticky: cookie")));
    (codec, burdock)
}

fn payload(codec: &TokenCodec, response: &Response) -> Payload {
    codec.open(response.cookie("BURDOCK_shop").expect("a cookie").1).unwrap()
}

#[test]
fn cookieless_requests_on_one_connection_share_a_session() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let (codec, burdock) = start(&site);
    let mut wire = burdock.wire();
    let [first, second, third] = [(); 3].map(|()| payload(&codec, &wire.ask(&Request::get("/"))));
    assert_eq!((first.server, first.session), (second.server, second.session));
    assert_eq!((first.server, first.session), (third.server, third.session));
    let other = payload(&codec, &burdock.get("/"));
    assert_ne!(other.session, first.session);
}

#[test]
fn requests_on_a_trusted_proxys_connection_are_balanced_separately() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]";
    let burdock = site.burdock(&format!("{listeners}\n{}", shop(3, "sticky: cookie")));
    let mut wire = burdock.wire();
    let servers: BTreeSet<_> = (0..6).map(|_| wire.ask(&Request::get("/")).served_by().to_owned()).collect();
    assert_eq!(servers.len(), 3, "{servers:?}");
}

#[test]
fn a_cookieless_connection_moves_once_when_its_server_dies() {
    let site = Site::new();
    let mut servers = [site.origin_process(1), site.origin_process(2), site.origin_process(3)];
    let (codec, burdock) = start(&site);
    let mut wire = burdock.wire();
    let before = wire.ask(&Request::get("/"));
    let home: usize = before.served_by()[4..].parse().unwrap();
    servers[home - 1].kill();
    let [after, later] = [(); 2].map(|()| wire.ask(&Request::get("/")));
    assert_ne!(after.served_by(), before.served_by());
    assert_eq!(later.served_by(), after.served_by());
    assert_eq!(payload(&codec, &after).session, payload(&codec, &before).session);
}

#[test]
fn a_moved_session_keeps_its_number_and_issue_time() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let (codec, burdock) = start(&site);
    let orphan = codec.token("web-9", 1000, 10);
    let before = codec.open(&orphan).unwrap();
    let moved = burdock.ask(&Request::get("/").header("Cookie", &format!("BURDOCK_shop={orphan}")));
    let after = payload(&codec, &moved);
    assert_eq!((after.session, after.stamps.issued), (before.session, before.stamps.issued));
    assert_eq!(after.server, codec.tag(moved.served_by()));
}

#[test]
fn parallel_requests_of_an_orphaned_session_agree() {
    let site = Site::new();
    let mut servers = [site.origin_process(1), site.origin_process(2), site.origin_process(3)];
    let (_mint, burdock) = start(&site);
    let cookies: Vec<_> = (0..4).map(|_| format!("BURDOCK_shop={}", burdock.client_at("web-1").token())).collect();
    servers[0].kill();
    for cookie in cookies {
        let homes: BTreeSet<String> = std::thread::scope(|scope| {
            let ask = || burdock.ask(&Request::get("/").header("Cookie", &cookie)).served_by().to_owned();
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(homes.len(), 1, "{homes:?}");
    }
}

#[test]
fn balancers_with_the_same_key_choose_the_same_server() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let (codec, first) = start(&site);
    let second = second(&site);
    let mut client = first.client();
    let home = client.get("/").served_by().to_owned();
    let cookie = |token: &str| Request::get("/").header("Cookie", &format!("BURDOCK_shop={token}"));
    assert_eq!(second.ask(&cookie(client.token())).served_by(), home);
    for _ in 0..6 {
        let orphan = codec.random_token("web-9");
        let [a, b] = [first.ask(&cookie(&orphan)), second.ask(&cookie(&orphan))];
        assert_eq!(a.served_by(), b.served_by(), "both balancers choose the same server for an orphaned session");
    }
}

/// Another Burdock of the same site, on port 8081.
fn second(site: &Site) -> Balancer {
    let yaml = with_defaults(&format!("{KEYS}{}", shop(3, "sticky: cookie")));
    let yaml = yaml
        .replace(":8080", ":8081")
        .replace(":9180", ":9181")
        .replace("$DIR/state", "$DIR/state2")
        .replace("$DIR/run", "$DIR/run2");
    let file = site.write("second.yaml", &yaml.replace("access.log", "second.log"));
    Balancer::start(&file, site.at(8081))
}

/// A second process, killed when dropped.
struct Balancer(std::process::Child, std::net::SocketAddr);

impl Balancer {
    fn start(file: &std::path::Path, at: std::net::SocketAddr) -> Self {
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_burdock")).args(["run", "-c"]).arg(file).spawn().unwrap();
        wait_until("the second balancer listens", || Wire::try_open(at).is_ok());
        Self(child, at)
    }

    fn ask(&self, request: &Request) -> Response {
        Wire::open(self.1).ask(request)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_keeps_its_server_when_its_address_changes() {
    let site = Site::new();
    let _origins = site.origins::<3>();
    let listeners = "listeners: [{address: $IP:8080, trusted_proxies: [127.0.0.0/8]}]";
    let burdock = site.burdock(&format!("{listeners}\n{}", shop(3, "sticky: cookie")));
    let mut client = Client::new(burdock.listen);
    let from = |client: &mut Client, address: &str| {
        client.ask(Request::get("/").header("X-Forwarded-For", address)).served_by().to_owned()
    };
    assert_eq!(from(&mut client, "203.0.113.1"), from(&mut client, "2001:db8::1"));
}
