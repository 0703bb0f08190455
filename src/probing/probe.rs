//! Ejected servers: logs each ejection, waits for the ejection time, and probes the server until it passes. One task per server, as
//! long as the current configuration has the same server.

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

/// An ejected server.
struct EjectedServer {
    state: Arc<ServingState>,
    upstream: UpstreamName,
    server: Server,
}

/// Logs an ejection, and brings the server back when its ejection time is over and a probe passes.
pub fn ejected(state: &Arc<ServingState>, upstream: &Upstream, at: usize, ejection: Ejection) {
    let server = EjectedServer {
        state: Arc::clone(state),
        upstream: upstream.name().clone(),
        server: upstream.servers()[at].clone(),
    };
    server.report(ejection);
    tokio::spawn(server.bring_back(ejection.time));
}

/// Continues with the servers that were ejected before this process started.
pub fn resume(state: &Arc<ServingState>) {
    let generation = state.generation.load();
    for upstream in generation.upstreams().iter().map(|handle| handle.sticky.upstream()) {
        for server in upstream.servers() {
            let Some(until) = server.health_state().ejected_until() else { continue };
            let left = until.since(state.clock.uptime());
            let ejected =
                EjectedServer { state: Arc::clone(state), upstream: upstream.name().clone(), server: server.clone() };
            tokio::spawn(ejected.bring_back(left));
        }
    }
}

/// Brings a server back that another process has ejected.
pub fn bring_back_adopted(
    state: &Arc<ServingState>,
    upstream: &UpstreamName,
    server: &Server,
) -> impl Future<Output = ()> + use<> {
    let left = server.health_state().ejected_until().map_or(Duration::ZERO, |until| until.since(state.clock.uptime()));
    let ejected = EjectedServer { state: Arc::clone(state), upstream: upstream.clone(), server: server.clone() };
    ejected.bring_back(left)
}

impl EjectedServer {
    fn report(&self, Ejection { failure, time }: Ejection) {
        let id = self.server.id();
        log::warn!("{}/{id} is ejected for {time:?}: requests fail, the last with {}", self.upstream, failure.as_str());
        changed(&self.state, &self.upstream, &self.server, Condition::Ejected);
    }

    async fn bring_back(self, mut ejection_time: Duration) {
        loop {
            tokio::time::sleep(ejection_time).await;
            if self.server.health_state().ejected_until().is_none() {
                // Another process has brought it back.
                return;
            }
            let Some((check, spec)) = self.current_check() else { return };
            let checked = check.run(&self.state).await;
            let outcome = *checked.as_ref().unwrap_or(&Outcome::Failed);
            match self.server.health_state().probed(outcome, &spec, self.state.clock.uptime()) {
                ProbeOutcome::Recovered(condition) => return self.report_back(condition),
                ProbeOutcome::StillEjected(again) => ejection_time = again,
            }
            let why = checked.err().unwrap_or_else(|| "the probe could not run on this host".to_owned());
            log::warn!("{}/{} stays ejected for {ejection_time:?}: {why}", self.upstream, self.server.id());
        }
    }

    fn report_back(&self, condition: Condition) {
        let id = self.server.id();
        match condition {
            Condition::Up | Condition::Draining => {
                changed(&self.state, &self.upstream, &self.server, condition);
                log::info!("{}/{id} passes its probe and is up", self.upstream);
            }
            Condition::Down | Condition::Unchecked | Condition::Ejected => {
                log::info!("{}/{id} is no longer ejected, but {}", self.upstream, condition.as_str());
            }
        }
    }

    /// The probe: the server's health check, or a connection if it has none. None if the current configuration does not have the
    /// server, or no passive health.
    fn current_check(&self) -> Option<(Check, OutlierSpec)> {
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
