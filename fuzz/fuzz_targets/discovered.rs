//! Any DNS answers give servers that can be served: each id once, never too many, and the same ones for every order of the
//! records.
#![no_main]

mod common;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::LazyLock;

use burdock::balancer::spec::Plan;
use burdock::upstream::discovery::{Answer, Discovered, Lookup, Service};
use burdock::upstream::spec::MAX_SERVERS;
use libfuzzer_sys::fuzz_target;

const CONFIG: &str = "
listeners: ['127.0.0.1:8080']
upstreams:
  shop:
    servers:
      - {name: 'app.internal:8080'}
      - {id: 'app@10.0.0.7:1', address: '10.0.0.7:1'}
      - {id: app, srv: _http._tcp.app.internal}
    sticky: cookie
";

static PLAN: LazyLock<Plan> = LazyLock::new(|| common::plan(CONFIG));

/// The parts of a record: address (4 or 16 bytes), port, priority, weight.
type Record = (Result<[u8; 4], [u8; 16]>, u16, u16, u16);

fuzz_target!(|answers: Vec<Vec<Record>>| {
    let (mut discovered, mut reversed) = (Discovered::default(), Discovered::default());
    let lookups = PLAN.lookups();
    // Each answer replaces the previous one.
    for (lookup, records) in lookups.iter().cycle().zip(&answers) {
        let answer = |records: &mut dyn Iterator<Item = &Record>| answer(lookup, records);
        let (one, other) = (answer(&mut records.iter()), answer(&mut records.iter().rev()));
        assert_eq!(one, other);
        if let Some(change) = one.and_then(|one| discovered.learn(lookup, one)) {
            assert!(!change.to_string().is_empty());
        }
        other.and_then(|other| reversed.learn(lookup, other));
    }
    let plan = PLAN.expanded(&discovered);
    assert_eq!(plan, PLAN.expanded(&reversed));
    let servers = &plan.upstreams[0].upstream.servers;
    let ids: HashSet<_> = servers.iter().map(|server| &server.id).collect();
    assert!(ids.len() == servers.len() && servers.len() <= MAX_SERVERS);
    assert!(ids.iter().any(|id| id.as_str() == "app@10.0.0.7:1"), "configured servers are never lost");
    common::balancer(plan, None);
});

fn answer(lookup: &Lookup, records: &mut dyn Iterator<Item = &Record>) -> Option<Answer> {
    let ip = |ip: &Result<[u8; 4], [u8; 16]>| ip.map_or_else(IpAddr::from, IpAddr::from);
    match lookup {
        Lookup::Host(_, port) => Answer::of_hosts(NonZeroU16::new(port.get())?, records.map(|(address, ..)| ip(address))),
        Lookup::Srv(_) => Answer::of_services(records.map(|(address, port, priority, weight)| Service {
            address: SocketAddr::new(ip(address), *port),
            priority: *priority,
            weight: *weight,
        })),
    }
}
