//! Converts the core's values to the API's.

use std::sync::Arc;

use burdock::balancer::diff;
use burdock::balancer::diff::{Difference, DifferenceKind, Field, RemovalKind};
use burdock::balancer::drain;
use burdock::balancer::{Sessions, StickyUpstream};
use burdock::time::Now;
use burdock::upstream::Upstream;
use burdock::upstream::answer_counts::StatusClass;
use burdock::upstream::balance::Balance;
use burdock::upstream::health::Condition;
use burdock::upstream::last_failure::LastFailure;
use burdock::upstream::server::Server;
use burdock::upstream::spec::{Admin, Tier};

use crate::api::config::{ChangeKind, DifferenceInfo, FieldChange, Moves};
use crate::api::drain::{DrainStatus, Stage};
use crate::api::server::{AnswerInfo, FailureInfo, ServerHealth, ServerInfo, ServerState, SessionCount, Source};
use crate::api::upstream::UpstreamInfo;
use crate::control::servers::{Origin, Origins};

pub fn server(upstream: &StickyUpstream, at: usize, origins: &Origins, now: Now) -> ServerInfo {
    let server = &upstream.upstream().servers()[at];
    let spec = server.spec();
    ServerInfo {
        upstream: upstream.upstream().name().to_string(),
        id: spec.id.to_string(),
        address: spec.address.to_string(),
        state: state(spec.admin),
        deadline: upstream.draining(at, now).until().map(|until| until.since(now.wall)),
        health: health(server.health_state().condition(), upstream.upstream()),
        last_failure: server.last_failure().map(|LastFailure { reason, at }| {
            let ago = now.uptime.since(at).as_secs();
            FailureInfo { reason: reason.to_string(), ago, at: u64::from(now.wall.0).saturating_sub(ago) }
        }),
        weight: server.weight(),
        max_conns: spec.max_conns.map(std::num::NonZeroU32::get),
        backup: spec.tier == Tier::Backup,
        in_flight: server.in_flight(),
        waiting: server.waiting(),
        sessions: sessions(upstream.sessions(at, now)),
        answers: answers(server),
        source: match origins.of(&spec.id) {
            Origin::File => Source::File,
            Origin::Name => Source::Dns,
            Origin::RunTime => Source::RunTime,
        },
    }
}

/// The progress of a server's drain.
pub fn drain(upstream: &StickyUpstream, at: usize, now: Now) -> DrainStatus {
    let draining = upstream.draining(at, now);
    DrainStatus {
        upstream: upstream.upstream().name().to_string(),
        server: upstream.upstream().servers()[at].id().to_string(),
        state: state(draining.admin),
        stage: match draining.stage {
            drain::DrainStage::Serving => Stage::Serving,
            drain::DrainStage::Draining => Stage::Draining,
            drain::DrainStage::Complete => Stage::Complete,
        },
        in_flight: draining.in_flight,
        sessions: sessions(draining.sessions),
        quiet_for: draining.quiet.as_secs(),
        idle_time: draining.needed.as_secs(),
        deadline: draining.until().map(|until| until.since(now.wall)),
    }
}

pub fn difference(difference: &Difference) -> DifferenceInfo {
    let change = match difference.what {
        DifferenceKind::Added => ChangeKind::Added,
        DifferenceKind::Removed(RemovalKind::AtOnce) => ChangeKind::Removed,
        DifferenceKind::Removed(RemovalKind::Leaving) => ChangeKind::Leaving,
        DifferenceKind::Changed(_) => ChangeKind::Changed,
    };
    let fields = match &difference.what {
        DifferenceKind::Changed(fields) => fields.as_slice(),
        DifferenceKind::Added | DifferenceKind::Removed(_) => &[],
    };
    let field = |field: &Field| FieldChange {
        name: field.name.to_string(),
        before: field.before.clone(),
        after: field.after.clone(),
    };
    DifferenceInfo {
        about: difference.place.to_string(),
        change,
        fields: fields.iter().map(field).collect(),
        moves: moves(difference.moves),
        text: difference.to_string(),
    }
}

pub fn moves(moves: diff::Moves) -> Moves {
    Moves { learned: moves.learned, by_token: moves.by_token, hashed_permille: moves.hashed_permille }
}

pub fn upstream(sticky: &Arc<StickyUpstream>, now: Now) -> UpstreamInfo {
    let upstream = sticky.upstream();
    let counts = (0..upstream.servers().len()).map(|at| sessions(sticky.sessions(at, now)));
    UpstreamInfo {
        name: upstream.name().to_string(),
        balance: balance(upstream.spec().balance).to_owned(),
        sticky: sticky.chain().entries().iter().map(|entry| entry.method.to_string()).collect(),
        servers: upstream.servers().len(),
        taking_new: upstream.servers().iter().filter(|server| server.accepts_new()).count(),
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

fn health(condition: Condition, upstream: &Upstream) -> ServerHealth {
    match condition {
        Condition::Up if !upstream.watches_answers() => ServerHealth::Unchecked,
        Condition::Up => ServerHealth::Up,
        Condition::Draining => ServerHealth::Draining,
        Condition::Down => ServerHealth::Down,
        Condition::Unchecked => ServerHealth::Pending,
        Condition::Ejected => ServerHealth::Ejected,
    }
}

fn sessions(sessions: Sessions) -> SessionCount {
    SessionCount { learned: sessions.learned, by_token: sessions.by_token }
}

fn answers(server: &Server) -> AnswerInfo {
    AnswerInfo {
        informational: server.answers(StatusClass::Informational),
        success: server.answers(StatusClass::Success),
        redirection: server.answers(StatusClass::Redirection),
        client_error: server.answers(StatusClass::ClientError),
        server_error: server.answers(StatusClass::ServerError),
    }
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
