//! Handles to metric series, looked up once per configuration, so that a request only increments counters.

use std::sync::{Arc, OnceLock};

use burdock::balancer::StickyUpstream;
use burdock::balancer::reason::{MethodLabel, Move, Reason};
use burdock::ids::UpstreamName;
use burdock::session::foreign_format::ForeignFormat;
use burdock::time::Now;
use burdock::upstream::spec::UpstreamSpec;
use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::families::{QueueFamilies, RequestFamilies};
use super::servers::{ServerMeters, ServerSeries};

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// A route's counters, by status class (`none` first, for requests without a response).
#[derive(Debug)]
pub struct RouteMeters {
    pub name: Arc<str>,
    classes: [IntCounter; 6],
}

/// An upstream's counters.
#[derive(Debug)]
pub struct UpstreamMeters {
    decisions: Rare,
    moved: Rare,
    foreign: Rare,
    pub name: UpstreamName,
    pub redispatches: IntCounter,
    pub queue_timeouts: IntCounter,
    pub queue_wait: Histogram,
    pub connect: Histogram,
    pub response: Histogram,
    pub servers: Box<[Arc<ServerMeters>]>,
}

/// Counters of one family, each created at its first use: most are never used.
#[derive(Debug)]
struct Rare {
    family: IntCounterVec,
    series: Box<[OnceLock<IntCounter>]>,
}

impl RouteMeters {
    pub(crate) fn new(name: &Arc<str>, families: &RequestFamilies) -> Self {
        let classes = CLASSES.map(|class| families.requests.with_label_values(&[&**name, class]));
        Self { name: Arc::clone(name), classes }
    }

    /// Counts a request by its status; none if no response was sent.
    pub fn finished(&self, status: Option<u16>) {
        let class = status.map_or(0, |status| usize::from(status / 100).min(5));
        self.classes[class].inc();
    }
}

impl UpstreamMeters {
    pub(crate) fn new(
        spec: &UpstreamSpec,
        families: &RequestFamilies,
        queues: &QueueFamilies,
        servers: &ServerSeries,
    ) -> Self {
        let name = spec.name.as_str();
        Self {
            decisions: Rare::new(&families.decisions, Reason::ALL.len() * MethodLabel::COUNT),
            moved: Rare::new(&families.moved, Move::ALL.len()),
            foreign: Rare::new(&families.foreign, ForeignFormat::ALL.len()),
            name: spec.name.clone(),
            redispatches: families.redispatches.with_label_values(&[name]),
            queue_timeouts: queues.timeouts.with_label_values(&[name]),
            queue_wait: queues.wait.with_label_values(&[name]),
            connect: families.connect.with_label_values(&[name]),
            response: families.response.with_label_values(&[name]),
            servers: servers.of(&spec.name, spec.servers.iter().map(|server| &server.id)),
        }
    }

    /// Takes the gauges of the servers of this upstream, whose meters these are.
    pub(super) fn take_gauges(&self, sticky: &StickyUpstream, now: Now) {
        for (at, server) in self.servers.iter().enumerate() {
            server.take_gauges(sticky, at, now);
        }
    }

    pub fn decided(&self, reason: Reason, method: MethodLabel) {
        let at = reason.index() * MethodLabel::COUNT + method.index();
        self.decisions.inc(at, &[self.name.as_str(), reason.as_str(), method.as_str()]);
    }

    /// Counts a session that moved to another server.
    pub fn moved(&self, cause: Move) {
        self.moved.inc(cause.index(), &[self.name.as_str(), cause.as_str()]);
    }

    /// Counts a request that another proxy's token decided.
    pub fn foreign(&self, format: ForeignFormat) {
        self.foreign.inc(format.index(), &[self.name.as_str(), format.as_str()]);
    }
}

impl Rare {
    fn new(family: &IntCounterVec, series: usize) -> Self {
        Self { family: family.clone(), series: (0..series).map(|_| OnceLock::new()).collect() }
    }

    fn inc(&self, at: usize, labels: &[&str]) {
        self.series[at].get_or_init(|| self.family.with_label_values(labels)).inc();
    }
}
