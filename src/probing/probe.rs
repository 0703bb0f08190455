//! Ejected servers: each is told of, held for its time, and probed until it passes. A task for each, for as long as the
//! configuration in force knows the server as it was.

use std::sync::Arc;
use std::time::Duration;

use burdock::ids::UpstreamName;
use burdock::upstream::Upstream;
use burdock::upstream::health::{Condition, Outcome};
use burdock::upstream::health_state::ProbeOutcome;
use burdock::upstream::outlier::{Ejection, OutlierSpec};
use burdock::upstream::server::Server;

use crate::serve::state::ServingState;

use super::check::Check;
use super::condition::changed;

/// A server that is to come back.
struct Held {
    state: Arc<ServingState>,
    upstream: UpstreamName,
    server: Server,
}

/// Tells of an ejection, and brings the server back when its time is over and a probe passes.
pub fn ejected(state: &Arc<ServingState>, upstream: &Upstream, at: usize, ejection: Ejection) {
    let held = Held { state: Arc::clone(state), upstream: upstream.name().clone(), server: upstream.servers()[at].clone() };
    held.report(ejection);
    tokio::spawn(held.bring_back(ejection.time));
}

/// Goes on with the servers that were ejected before this process began.
pub fn resume(state: &Arc<ServingState>) {
    let generation = state.generation.load();
    for upstream in generation.upstreams().iter().map(|handle| handle.pool.upstream()) {
        for server in upstream.servers() {
            let Some(until) = server.health_state().ejected_until() else { continue };
            let left = until.since(state.clock.uptime());
            let held = Held { state: Arc::clone(state), upstream: upstream.name().clone(), server: server.clone() };
            tokio::spawn(held.bring_back(left));
        }
    }
}

impl Held {
    fn report(&self, Ejection { failure, time }: Ejection) {
        let id = self.server.id();
        log::warn!("{}/{id} is ejected for {time:?}: requests fail there, the last by {}", self.upstream, failure.as_str());
        changed(&self.state, &self.upstream, &self.server, Condition::Ejected);
    }

    async fn bring_back(self, mut hold: Duration) {
        loop {
            tokio::time::sleep(hold).await;
            let Some((check, spec)) = self.present() else { return };
            let why = check.run().await.err();
            let outcome = if why.is_none() { Outcome::Passed } else { Outcome::Failed };
            match self.server.health_state().probed(outcome, &spec, self.state.clock.uptime()) {
                ProbeOutcome::Recovered(condition) => return self.report_back(condition),
                ProbeOutcome::StillEjected(again) => hold = again,
            }
            let why = why.unwrap_or_default();
            log::warn!("{}/{} stays ejected for {hold:?}: {why}", self.upstream, self.server.id());
        }
    }

    fn report_back(&self, condition: Condition) {
        let id = self.server.id();
        match condition {
            Condition::Up => {
                changed(&self.state, &self.upstream, &self.server, condition);
                log::info!("{}/{id} passes its probe and is up", self.upstream);
            }
            Condition::Down | Condition::Unchecked | Condition::Ejected => {
                log::info!("{}/{id} is no longer ejected, but {}", self.upstream, condition.as_str());
            }
        }
    }

    /// How it is to be probed: as it is checked, or else by a connection. None where the configuration in force does not
    /// know it, or nothing of its ejection.
    fn present(&self) -> Option<(Check, OutlierSpec)> {
        let generation = self.state.generation.load();
        let upstream = generation.balancer.upstream(&self.upstream)?.upstream();
        let server = upstream.find(self.server.id())?;
        let same = Arc::ptr_eq(server.health_state(), self.server.health_state());
        let spec = upstream.spec().passive_health.clone().filter(|_| same)?;
        let check = match &upstream.spec().health_check {
            Some(check) => Check::new(check, server)?,
            None => Check::tcp(upstream.spec().timeouts.connect, server)?,
        };
        Some((check, spec))
    }
}
