//! Any file of overrides can be read. Overrides that were read are written back unchanged, and a configuration with them applied can
//! be served.
#![no_main]

mod common;

use std::collections::HashSet;
use std::sync::LazyLock;

use burdock::balancer::Balancer;
use burdock::balancer::overrides::{LeavingServer, Overrides};
use burdock::balancer::diff;
use burdock::balancer::spec::Plan;
use libfuzzer_sys::fuzz_target;

use common::{NOW, again};

const CONFIG: &str = "
listeners: ['127.0.0.1:8080']
upstreams:
  shop:
    servers: [{id: a, address: '127.0.0.1:1', max_conns: 2}, {id: b, address: '127.0.0.1:2', backup: true}]
    sticky: cookie
  app:
    servers: ['127.0.0.1:3']
    sticky: [{learn: {create: 'set_cookie:S', lookup: 'cookie:S', table: s}}]
routes:
  - {match: {path_prefix: /shop}, upstream: shop}
  - {match: {path_prefix: /}, upstream: app}
tables: {s: {capacity: 1000}}
";

static PLAN: LazyLock<Plan> = LazyLock::new(|| common::plan(CONFIG));
static BEFORE: LazyLock<Balancer> = LazyLock::new(|| common::balancer(PLAN.clone(), None));

fuzz_target!(|json: &[u8]| {
    let Ok((changes, leaving)) = serde_json::from_slice::<(Overrides, Vec<LeavingServer>)>(json) else { return };
    assert_eq!(again(&changes), changes);
    assert_eq!(again(&leaving), leaving);
    let mut plan = PLAN.clone();
    changes.apply(&mut plan);
    let wanted = plan.clone();
    LeavingServer::keep(&leaving, &mut plan);
    for sticky in &plan.upstreams {
        let mut ids = HashSet::new();
        assert!(sticky.upstream.servers.iter().all(|server| ids.insert(&server.id)), "two servers have one id");
    }
    for difference in diff::between(&PLAN, &wanted, &BEFORE, NOW) {
        assert!(!difference.to_string().is_empty());
    }
    let after = common::balancer(plan, Some(&BEFORE));
    after.in_force(&BEFORE, NOW);
    // The servers that it leaves draining are written back unchanged, too.
    let still = BEFORE.leaving(&wanted, NOW);
    assert_eq!(again(&still), still);
});
