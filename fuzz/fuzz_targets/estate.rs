//! Any handoff of the previous process can be read. A handoff that was read is written back unchanged, and a balancer continues with
//! it.
#![no_main]

mod common;

use std::sync::LazyLock;
use std::time::Duration;

use burdock::balancer::Balancer;
use burdock::balancer::handoff::BalancerHandoff;
use burdock::balancer::spec::Plan;
use burdock::time::{Now, Uptime};
use burdock::upstream::Upstream;
use burdock::upstream::discovery::Discovered;
use burdock::upstream::health::Outcome;
use burdock::upstream::outlier::Attempt;
use burdock::upstream::retry::Failure;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;

use common::{NOW, again};

const CONFIG: &str = "
listeners: ['127.0.0.1:8080']
upstreams:
  shop:
    servers: [{id: a, address: '127.0.0.1:1', max_conns: 1}, {name: 'app.internal:8080'}, {srv: _http._tcp.app.internal}]
    passive_health: {failures: 2}
    slow_start: 30s
    sticky: cookie
  app:
    servers: [{id: a, address: '127.0.0.1:1', state: drain}]
    health_check: {http: {path: /}}
    passive_health: {failures: 1}
routes:
  - {match: {path_prefix: /shop}, upstream: shop}
  - {match: {path_prefix: /}, upstream: app}
";

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let plan = common::plan(CONFIG);
    let own = common::balancer(plan.clone(), None).handoff();
    assert_eq!(again(&own), own);
    plan
});

fuzz_target!(|json: &[u8]| {
    let read = serde_json::from_slice::<(Uptime, Discovered, BalancerHandoff)>(json);
    let plan = &*PLAN;
    let Ok((uptime, discovered, legacy)) = read else { return };
    assert_eq!((again(&uptime), again(&discovered), again(&legacy)), (uptime, discovered.clone(), legacy.clone()));
    for lookup in plan.lookups() {
        assert!(discovered.get(lookup).is_none_or(|answer| answer.addresses().next().is_some()), "an answer without addresses");
    }
    let balancer = common::balancer(plan.expanded(&discovered), None);
    balancer.inherit(&legacy);
    let now = Now { uptime, ..NOW };
    balancer.upstreams().iter().for_each(|upstream| live(upstream.upstream(), now));
    let next = balancer.handoff();
    assert_eq!(again(&next), next);
    reload(&balancer, plan, now);
});

/// Requests and probes succeed and fail at its servers.
fn live(upstream: &Upstream, now: Now) {
    let spec = upstream.spec().passive_health.as_ref().expect("passive health");
    for (at, server) in upstream.servers().iter().enumerate() {
        let state = server.health_state();
        let _ = (server.quiet_for(now), server.unchanged_for(now), server.admin_unchanged_for(now), state.ejected_until());
        for attempt in
            [Attempt::Answered(StatusCode::OK), Attempt::Failed(Failure::Connect), Attempt::Failed(Failure::Closed)]
        {
            upstream.attempted(at, attempt, now.uptime);
        }
        state.probed(Outcome::Failed, spec, now.uptime.plus(Duration::from_secs(1)));
        state.probed(Outcome::Passed, spec, now.uptime);
    }
}

/// A new configuration replaces the balancer's.
fn reload(balancer: &Balancer, plan: &Plan, now: Now) {
    let leaving = balancer.leaving(plan, now);
    assert!(leaving.len() <= balancer.upstreams().iter().map(|upstream| upstream.upstream().servers().len()).sum());
    common::balancer(plan.clone(), Some(balancer)).in_force(balancer, now);
}
