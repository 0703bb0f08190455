//! The core's values as the API's.

use std::sync::Arc;

use burdock::balancer::{Pool, Sessions};
use burdock::time::Now;
use burdock::upstream::balance::Balance;
use burdock::upstream::health::Condition;
use burdock::upstream::server::Server;
use burdock::upstream::spec::{Admin, Tier};

use crate::api::server::{ServerHealth, ServerInfo, ServerState, SessionCount};
use crate::api::upstream::UpstreamInfo;
use crate::proxy::explanation;

pub fn server(pool: &Pool, at: usize, now: Now) -> ServerInfo {
    let server = &pool.upstream().servers()[at];
    let spec = server.spec();
    ServerInfo {
        upstream: pool.upstream().name().to_string(),
        id: spec.id.to_string(),
        address: spec.address.to_string(),
        state: state(spec.admin),
        deadline: pool.draining(at, now).until().map(|until| until.since(now.wall)),
        health: health(server.vitals().condition()),
        weight: server.weight(),
        max_conns: spec.max_conns.map(std::num::NonZeroU32::get),
        backup: spec.tier == Tier::Backup,
        in_flight: server.in_flight(),
        sessions: sessions(pool.sessions(at, now)),
    }
}

pub fn servers(pool: &Pool, now: Now) -> Vec<ServerInfo> {
    (0..pool.upstream().servers().len()).map(|at| server(pool, at, now)).collect()
}

pub fn upstream(pool: &Arc<Pool>, now: Now) -> UpstreamInfo {
    let upstream = pool.upstream();
    let counts = (0..upstream.servers().len()).map(|at| sessions(pool.sessions(at, now)));
    UpstreamInfo {
        name: upstream.name().to_string(),
        balance: balance(upstream.spec().balance).to_owned(),
        sticky: pool.chain().entries().iter().map(explanation::entry).collect(),
        servers: upstream.servers().len(),
        taking_new: upstream.servers().iter().filter(|server| server.takes_new()).count(),
        in_flight: upstream.servers().iter().map(Server::in_flight).map(u64::from).sum(),
        sessions: counts.fold(SessionCount { learned: None, by_token: None }, plus),
    }
}

fn plus(a: SessionCount, b: SessionCount) -> SessionCount {
    let sum = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).reduce(|a, b| a + b);
    SessionCount { learned: sum(a.learned, b.learned), by_token: sum(a.by_token, b.by_token) }
}

fn state(admin: Admin) -> ServerState {
    match admin {
        Admin::Ready => ServerState::Ready,
        Admin::Drain { .. } => ServerState::Drain,
        Admin::Maint => ServerState::Maint,
        Admin::Leaving { .. } => ServerState::Leaving,
    }
}

fn health(condition: Condition) -> ServerHealth {
    match condition {
        Condition::Up => ServerHealth::Up,
        Condition::Down => ServerHealth::Down,
        Condition::Unchecked => ServerHealth::Unchecked,
        Condition::Ejected => ServerHealth::Ejected,
    }
}

fn sessions(sessions: Sessions) -> SessionCount {
    SessionCount { learned: sessions.learned, by_token: sessions.by_token }
}

fn balance(balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "round_robin",
        Balance::LeastConn => "least_conn",
        Balance::RandomTwo => "random_two",
        Balance::First => "first",
        Balance::Hash(_) => "hash",
    }
}
