//! The meters of servers: counters that requests add to, and gauges that are taken when metrics are read. A server keeps its meters
//! across configurations, and after its removal until its series are removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use burdock::balancer::reason::TieOutcome;
use burdock::balancer::{Sessions, StickyUpstream};
use burdock::ids::{ServerId, UpstreamName};
use burdock::time::Now;
use burdock::upstream::answer_counts::StatusClass;
use burdock::upstream::health::{Condition, Health};
use burdock::upstream::server::Server;
use parking_lot::{Mutex, RwLock};

/// The meters of every server that has series, sorted.
#[derive(Debug, Default)]
pub struct ServerSeries(RwLock<BTreeMap<(ServerId, UpstreamName), Arc<ServerMeters>>>);

/// A server's counters, and its gauges as they were last taken.
#[derive(Debug)]
pub struct ServerMeters {
    pub upstream: UpstreamName,
    pub id: ServerId,
    /// By [`Tie`].
    requests: [AtomicU64; 3],
    failures: AtomicU64,
    /// In the order of [`Condition::ALL`].
    health_changes: [AtomicU64; 5],
    gauges: Mutex<Option<Gauges>>,
}

/// Whose session a request was that a server answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tie {
    Tied,
    New,
    Moved,
}

/// A server's gauges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gauges {
    pub up: bool,
    pub in_flight: u32,
    pub weight: u32,
    /// None without `max_conns`.
    pub queue: Option<u32>,
    /// By class of status, in the order of [`StatusClass::ALL`].
    pub answers: [u64; 5],
    /// Its administrative state.
    pub state: &'static str,
    pub sessions: Sessions,
}

impl ServerSeries {
    /// The meters of these servers of an upstream: new ones for those that have none yet.
    pub fn of<'i>(&self, upstream: &UpstreamName, ids: impl IntoIterator<Item = &'i ServerId>) -> Box<[Arc<ServerMeters>]> {
        let mut all = self.0.write();
        let new = |id: &ServerId| Arc::new(ServerMeters::new(upstream.clone(), id.clone()));
        ids.into_iter().map(|id| Arc::clone(all.entry((id.clone(), upstream.clone())).or_insert_with(|| new(id)))).collect()
    }

    /// The meters of a server, if it has series.
    pub fn find(&self, upstream: &UpstreamName, id: &ServerId) -> Option<Arc<ServerMeters>> {
        self.0.read().get(&(id.clone(), upstream.clone())).cloned()
    }

    /// Removes every series of a server.
    pub fn forget(&self, upstream: &UpstreamName, id: &ServerId) {
        self.0.write().remove(&(id.clone(), upstream.clone()));
    }

    /// All meters, sorted by server and upstream.
    pub fn all(&self) -> Vec<Arc<ServerMeters>> {
        self.0.read().values().cloned().collect()
    }
}

impl ServerMeters {
    fn new(upstream: UpstreamName, id: ServerId) -> Self {
        let (requests, failures, health_changes, gauges) = Default::default();
        Self { upstream, id, requests, failures, health_changes, gauges }
    }

    /// Counts a request that this server answered.
    pub fn answered(&self, outcome: TieOutcome) {
        let tie = match outcome {
            TieOutcome::Kept => Tie::Tied,
            TieOutcome::New => Tie::New,
            TieOutcome::Moved | TieOutcome::Detour => Tie::Moved,
        };
        self.requests[tie as usize].fetch_add(1, Relaxed);
    }

    /// Counts a failed attempt at this server.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// Counts a change of its health.
    pub fn health_changed(&self, to: Condition) {
        self.health_changes[at(to)].fetch_add(1, Relaxed);
    }

    pub fn requests(&self, tie: Tie) -> u64 {
        self.requests[tie as usize].load(Relaxed)
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// None if it never changed to this.
    pub fn health_changes(&self, to: Condition) -> Option<u64> {
        Some(self.health_changes[at(to)].load(Relaxed)).filter(|&changes| changes > 0)
    }

    pub fn gauges(&self) -> Option<Gauges> {
        *self.gauges.lock()
    }

    /// Takes the gauges of the server at this position, whose meters these are.
    pub fn take_gauges(&self, sticky: &StickyUpstream, at: usize, now: Now) {
        *self.gauges.lock() = Some(Gauges::of(&sticky.upstream().servers()[at], sticky.sessions(at, now)));
    }
}

impl Gauges {
    fn of(server: &Server, sessions: Sessions) -> Self {
        Self {
            up: server.health() == Health::Up,
            in_flight: server.in_flight(),
            weight: server.weight(),
            queue: server.spec().max_conns.map(|_| server.waiting()),
            answers: StatusClass::ALL.map(|class| server.answers(class)),
            state: server.spec().admin.as_str(),
            sessions,
        }
    }
}

impl Tie {
    pub const ALL: [Self; 3] = [Self::Tied, Self::New, Self::Moved];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tied => "tied",
            Self::New => "new",
            Self::Moved => "moved",
        }
    }
}

fn at(condition: Condition) -> usize {
    Condition::ALL.iter().position(|&one| one == condition).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use burdock::balancer::Balancer;

    use super::*;
    use crate::telemetry::metrics::Metrics;
    use crate::telemetry::metrics::tests::{balancer, text};

    fn shop(server: &str) -> Balancer {
        balancer(&format!(
            "listeners: ['127.0.0.1:1']\nupstreams: {{shop: {{servers: [{{id: a, address: '127.0.0.1:2', {server}}}], \
             sticky: [{{cookie: {{idle_timeout: 1h}}}}, {{learn: {{create: set_cookie:SID, lookup: cookie:SID}}}}]}}}}\n"
        ))
    }

    /// The series of server `a` without their family's prefix.
    fn series(metrics: &Metrics, balancer: &Balancer) -> Vec<String> {
        let text = text(metrics, 0, balancer);
        let of_server = text.lines().filter(|line| line.contains("server=\"a\""));
        of_server.map(|line| line.trim_start_matches("burdock_").to_owned()).collect()
    }

    #[test]
    fn only_the_present_state_of_a_server_has_a_series() {
        let metrics = Metrics::new().unwrap();
        for state in ["ready", "drain", "maint", "ready"] {
            let mut states = series(&metrics, &shop(&format!("state: {state}")));
            states.retain(|line| line.starts_with("server_state"));
            assert_eq!(states, [format!("server_state{{server=\"a\",state=\"{state}\",upstream=\"shop\"}} 1")]);
        }
    }

    #[test]
    fn a_server_that_is_gone_leaves_no_series() {
        let metrics = Metrics::new().unwrap();
        let balancer = shop("max_conns: 7");
        let spec = balancer.upstreams()[0].upstream().spec().clone();
        let meters = metrics.upstream(&spec);
        meters.servers[0].answered(TieOutcome::New);
        for to in Condition::ALL {
            metrics.health_changed(&spec.name, &spec.servers[0].id, to);
        }
        assert_eq!(series(&metrics, &balancer).len(), 21);
        metrics.forget_server(&spec.name, &spec.servers[0].id);
        let text = metrics.render(0, super::super::tests::NOW, std::iter::empty()).unwrap();
        assert!(!text.contains("server=\"a\""), "{text}");
    }

    #[test]
    fn counters_continue_across_configurations_and_end_with_the_series() {
        let metrics = Metrics::new().unwrap();
        let spec = shop("weight: 1").upstreams()[0].upstream().spec().clone();
        metrics.upstream(&spec).servers[0].failed();
        metrics.upstream(&spec).servers[0].failed();
        assert_eq!(metrics.upstream(&spec).servers[0].failures(), 2);
        metrics.forget_server(&spec.name, &spec.servers[0].id);
        assert_eq!(metrics.upstream(&spec).servers[0].failures(), 0);
    }
}
