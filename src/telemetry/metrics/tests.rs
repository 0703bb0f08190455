//! The whole text of `/metrics`, for one state with something of everything.

use std::sync::Arc;
use std::time::Duration;

use burdock::balancer::Balancer;
use burdock::balancer::reason::{MethodLabel, Move, Reason, TieOutcome};
use burdock::config::Config;
use burdock::ids::ServerId;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::session::foreign_format::ForeignFormat;
use burdock::time::{Now, Skipped, UnixSeconds, Uptime};
use burdock::token::keys::{Key, KeyRing};
use burdock::upstream::discovery::{DnsName, Lookup};
use burdock::upstream::failover::Cause;
use burdock::upstream::health::Condition;
use burdock::upstream::{Attempts, Placement};

use super::*;
use crate::runtime::keys;

pub const NOW: Now = Now {
    wall: UnixSeconds(1_800_000_000),
    subsec_millis: 0,
    uptime: Uptime(Duration::from_millis(1_500)),
    skipped: Skipped::NONE,
};

/// Two upstreams that have a server of the same id, and servers whose ids sort differently as bytes and as people read them.
const BEFORE: &str = "
listeners: ['127.0.0.1:1']
upstreams:
  shop:
    balance: first
    servers:
      - {id: a, address: '127.0.0.1:2', max_conns: 7, weight: 3}
      - {id: gone, address: '127.0.0.1:3', max_conns: 1}
      - {id: forgotten, address: '127.0.0.1:4'}
      - {id: drains, address: '127.0.0.1:5', state: drain}
      - {id: back, address: '127.0.0.1:6', state: drain, max_conns: 9}
      - '127.0.0.1:7'
      - '127.0.0.1:10'
    sticky: [{cookie: {idle_timeout: 1h}}, {learn: {create: set_cookie:SID, lookup: cookie:SID}}]
  api.v2:
    servers: [{id: a, address: '127.0.0.1:8', state: maint}, {id: B, address: '127.0.0.1:9', weight: 0}]
    sticky: [{route: {from: 'query:r'}}]
    health_check: {tcp: {}}
routes: [{match: {hosts: [api.test]}, upstream: api.v2}, {match: {}, upstream: shop}]
";

pub fn balancer(text: &str) -> Balancer {
    let config = Config::parse("test.yaml", text).unwrap_or_else(|errors| panic!("{errors}"));
    let ring = KeyRing::new(vec![Key::generate(&mut rand::rng())]).unwrap();
    let secrets = keys::with_keys(ring, FingerprintKey::generate(&mut rand::rng()), &config).unwrap();
    Balancer::new(config.plan, &secrets, None, NOW).unwrap()
}

pub fn text(metrics: &Metrics, connections: usize, balancer: &Balancer) -> String {
    let upstreams = balancer.upstreams();
    let meters: Vec<UpstreamMeters> = upstreams.iter().map(|one| metrics.upstream(one.upstream().spec())).collect();
    metrics.render(connections, NOW, upstreams.iter().map(Arc::as_ref).zip(&meters)).unwrap()
}

/// Without the servers `gone` and `forgotten`, and with `back` in another state and without its limit.
fn after() -> String {
    let lines = BEFORE.lines().filter(|line| !line.contains("id: gone") && !line.contains("id: forgotten"));
    lines.collect::<Vec<_>>().join("\n").replace("state: drain, max_conns: 9", "state: ready")
}

fn count_requests(metrics: &Metrics, balancer: &Balancer) {
    for upstream in balancer.upstreams() {
        let meters = metrics.upstream(upstream.upstream().spec());
        for (at, server) in meters.servers.iter().enumerate() {
            (0..at).for_each(|_| server.answered(TieOutcome::Kept));
            (0..3).for_each(|_| server.answered(TieOutcome::New));
            server.answered(TieOutcome::Detour);
            server.failed();
        }
        meters.decided(Reason::New, MethodLabel::NONE);
        meters.moved(Move::Lost(Cause::Down));
        meters.foreign(ForeignFormat::Nginx);
        meters.redispatches.inc();
        meters.queue_wait.observe(0.25);
        meters.connect.observe(0.000_5);
        meters.response.observe(70.0);
    }
}

fn count_process(metrics: &Metrics, balancer: &Balancer) {
    metrics.malformed(Malformed::Timeout);
    metrics.short_of(Shortage::Ports);
    metrics.reloaded(Reloaded::Refused, NOW.wall);
    metrics.reloaded(Reloaded::Applied, NOW.wall);
    metrics.route(&"front".into()).finished(Some(204));
    let name = Lookup::Srv(DnsName::parse("_http._tcp.shop.example.com").unwrap());
    metrics.looked_up(&name, Resolved::Partly);
    metrics.answered(&name, 3, NOW.wall);
    for table in balancer.tables().all() {
        metrics.take_table(table, StorageFigures { persisted: true, errors: 2, lost: 3 }, NOW.wall);
    }
}

fn change_health(metrics: &Metrics, balancer: &Balancer) {
    let api = balancer.upstreams().iter().find(|upstream| upstream.name().as_str() == "api.v2").unwrap();
    for to in [Condition::Up, Condition::Down, Condition::Ejected, Condition::Draining, Condition::Up] {
        metrics.health_changed(api.name(), &ServerId::parse("a").unwrap(), to);
    }
}

#[test]
fn metrics_of_a_varied_state_have_this_text() {
    let metrics = Metrics::new().unwrap();
    let before = balancer(BEFORE);
    count_requests(&metrics, &before);
    count_process(&metrics, &before);
    change_health(&metrics, &before);
    drop(text(&metrics, 7, &before));

    let now = balancer(&after());
    count_requests(&metrics, &now);
    let shop = now.upstreams()[0].upstream();
    metrics.forget_server(shop.name(), &ServerId::parse("forgotten").unwrap());
    let in_flight = shop.place(Placement::Balance(None), &Attempts::default(), NOW, &mut rand::rng()).unwrap();
    let found = text(&metrics, 42, &now).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    assert_eq!(found, include_str!("golden.txt"), "{found}");
    drop(in_flight);
}
