//! What grows with the number of servers and of upstreams: picking a server for a new client, estimating sessions, and reading
//! and applying a configuration.
//!
//! `cargo bench --no-default-features --bench scale`. Goals: with 10,000 servers a pick takes at most 2 µs, and so does joining a
//! queue; the estimates of 10,000 servers take at most 5 ms; a configuration of 10,000 upstreams with a route by host each is read
//! and applied in 0.3 s.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may panic where it fails")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use burdock::balancer::Balancer;
use burdock::config::Config;
use burdock::session::estimate::Estimate;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::session::load_factor::LoadFactor;
use burdock::session::number::SessionNumber;
use burdock::sticky::secrets::Secrets;
use burdock::time::{Now, Skipped, UnixSeconds, Uptime};
use burdock::token::keys::{Key, KeyRing};
use burdock::upstream::queue::Slot;
use burdock::upstream::{Attempts, Placement, Upstream};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng};

const NOW: Now = Now {
    wall: UnixSeconds(1_800_000_000),
    subsec_millis: 0,
    uptime: Uptime(Duration::from_secs(60)),
    skipped: Skipped::NONE,
};
const MANY: usize = 10_000;

/// Ways to balance, and the key that a request has.
const BALANCES: [(&str, &str, Option<&[u8]>); 6] = [
    ("round_robin", "round_robin", None),
    ("least_conn", "least_conn", None),
    ("random_two", "random_two", None),
    ("first", "first", None),
    ("hash", "{hash: {key: client_ip}}", Some(b"192.0.2.1")),
    ("hash, load_factor", "{hash: {key: client_ip, load_factor: 1.25}}", Some(b"192.0.2.1")),
];

/// One pick, whose slot is released at once, with 3,000 other requests in flight.
fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    for (name, balance, key) in BALANCES {
        for servers in [10, MANY] {
            let upstream = upstream(&servers_of(servers), balance);
            let mut random = StdRng::seed_from_u64(1);
            let _held: Vec<Slot> = (0..3_000).map(|_| take(&upstream, None, &mut random)).collect();
            group.bench_with_input(BenchmarkId::new(name, servers), &servers, |bencher, _| {
                bencher.iter(|| black_box(take(&upstream, black_box(key), &mut random)));
            });
        }
    }
    group.finish();
}

/// The same while every server is full but a few, for one key after the other.
fn pick_of_few(criterion: &mut Criterion) {
    for few in [10, 100, 1_000] {
        let mut group = criterion.benchmark_group(format!("pick of {few} in 10,000"));
        for (name, balance, key) in BALANCES {
            let upstream = upstream(&full(), balance);
            let mut random = StdRng::seed_from_u64(1);
            let mut held: Vec<Slot> = std::iter::from_fn(|| place(&upstream, None, &mut random)).collect();
            held.shuffle(&mut random);
            held.truncate(held.len() - few);
            let mut keys = (0_u32..).map(|n| key.map(|_| n.to_be_bytes()));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let key = keys.next().flatten();
                    black_box(take(&upstream, black_box(key.as_ref().map(<[u8; 4]>::as_slice)), &mut random))
                });
            });
        }
        group.finish();
    }
}

/// A slot at the server of a session that is tied by a hash with a load factor.
fn tied_by_hash(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tied by hash, load_factor");
    for servers in [10, MANY] {
        let upstream = upstream(&servers_of(servers), "round_robin");
        let mut random = StdRng::seed_from_u64(1);
        let _held: Vec<Slot> = (0..3_000).map(|_| take(&upstream, None, &mut random)).collect();
        let (bound, attempts) = (LoadFactor::new(100.0).unwrap(), Attempts::default());
        let home = upstream.home(b"192.0.2.1").unwrap();
        group.bench_with_input(BenchmarkId::from_parameter(servers), &servers, |bencher, _| {
            bencher.iter(|| black_box(upstream.admit_home(home, Some(bound), &attempts, NOW).unwrap().slot));
        });
    }
    group.finish();
}

/// Joining a queue, and leaving it, while all servers are full.
fn wait(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wait at one of 10,000");
    for (name, placement) in [("without a name", Placement::Balance(None)), ("by name", Placement::Ring(b"192.0.2.1"))] {
        let upstream = upstream_with(&full(), "round_robin", "{new_sessions: 2s}");
        let mut random = StdRng::seed_from_u64(1);
        let _held: Vec<Slot> = std::iter::from_fn(|| place(&upstream, None, &mut random)).collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                black_box(upstream.queue_new(black_box(placement), None, &Attempts::default(), NOW).unwrap().ticket)
            });
        });
    }
    group.finish();
}

fn take(upstream: &Upstream, key: Option<&[u8]>, random: &mut StdRng) -> Slot {
    place(upstream, key, random).expect("a server with room")
}

fn place(upstream: &Upstream, key: Option<&[u8]>, random: &mut StdRng) -> Option<Slot> {
    upstream.place(Placement::Balance(key), &Attempts::default(), NOW, random).map(|pick| pick.slot)
}

/// The estimates of many servers, as `GET /upstreams` takes them.
fn estimates(criterion: &mut Criterion) {
    let mut random = StdRng::seed_from_u64(3);
    let estimates: Vec<Estimate> = (0..MANY).map(|_| Estimate::new(600)).collect();
    for estimate in &estimates {
        (0..200).for_each(|n| estimate.record(SessionNumber(random.next_u64()), UnixSeconds(1_800_000_000 + 3 * n)));
    }
    let mut group = criterion.benchmark_group("estimates");
    group.sample_size(20);
    let mut second = 1_800_000_600;
    group.bench_function(BenchmarkId::new("asked every 5 s", MANY), |bencher| {
        bencher.iter(|| {
            second += 5;
            black_box(estimates.iter().map(|estimate| estimate.live(UnixSeconds(second))).sum::<u64>())
        });
    });
    group.finish();
}

/// Reading and applying a configuration of many upstreams with a route by host each.
fn upstreams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("upstreams");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for count in [1_000, MANY] {
        let text = many_upstreams(count);
        let before = balancer(&text, None);
        group.bench_with_input(BenchmarkId::new("check", count), &text, |bencher, text| {
            bencher.iter(|| black_box(Config::parse("bench", text).unwrap()));
        });
        let config = Config::parse("bench", &text).unwrap();
        group.bench_with_input(BenchmarkId::new("apply", count), &config, |bencher, config| {
            bencher.iter(|| {
                let next = Balancer::new(config.plan.clone(), &secrets(), Some(&before), NOW).unwrap();
                next.in_force(&before, NOW);
                next
            });
        });
    }
    group.finish();
}

fn many_upstreams(count: usize) -> String {
    let mut text = "listeners: ['127.0.0.1:8080']\nupstreams:\n".to_owned();
    for n in 0..count {
        writeln!(text, "  shop{n}:\n    servers: ['10.0.{}.{}:80']\n    sticky: [cookie]", n / 250, n % 250).unwrap();
    }
    text.push_str("routes:\n");
    for n in 0..count {
        writeln!(text, "  - {{match: {{hosts: [shop{n}.example.com]}}, upstream: shop{n}}}").unwrap();
    }
    text
}

/// Servers with weights from 1 to 4.
fn servers_of(count: usize) -> String {
    servers(count, |n| format!("weight: {}", n % 4 + 1))
}

/// Servers with room for one new session each.
fn full() -> String {
    servers(MANY, |_| "max_conns: 1".to_owned())
}

fn servers(count: usize, settings: impl Fn(usize) -> String) -> String {
    let server = |n: usize| format!("{{id: s{n}, address: '10.0.{}.{}:80', {}}}", n / 250, n % 250, settings(n));
    (0..count).map(server).collect::<Vec<_>>().join(", ")
}

fn upstream(servers: &str, balance: &str) -> Upstream {
    upstream_with(servers, balance, "{}")
}

fn upstream_with(servers: &str, balance: &str, queue: &str) -> Upstream {
    let shop = format!("{{servers: [{servers}], balance: {balance}, queue: {queue}, sticky: []}}");
    let text = format!("listeners: ['127.0.0.1:8080']\nupstreams:\n  shop: {shop}\n");
    let mut config = Config::parse("bench", &text).unwrap_or_else(|errors| panic!("{errors}"));
    Upstream::new(config.plan.upstreams.remove(0).upstream, None, NOW)
}

fn balancer(text: &str, earlier: Option<&Balancer>) -> Balancer {
    let config = Config::parse("bench", text).unwrap_or_else(|errors| panic!("{errors}"));
    Balancer::new(config.plan, &secrets(), earlier, NOW).unwrap()
}

fn secrets() -> Secrets {
    let keys = KeyRing::new(vec![Key::parse(&"17".repeat(32)).unwrap()]).unwrap();
    Secrets::new(keys, FingerprintKey::parse(&"5e".repeat(32)).unwrap(), [])
}

criterion_group!(benches, pick, pick_of_few, tied_by_hash, wait, estimates, upstreams);
criterion_main!(benches);
