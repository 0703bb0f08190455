//! What Prometheus sees. Label values come from enums and configuration, never from a request; handles are looked up once per
//! configuration, so a request only adds to counters. At most twelve series per server, histograms per upstream only.

use std::sync::Arc;
use std::sync::OnceLock;

use burdock::balancer::words::{Fate, Method, Reason};
use burdock::upstream::health::Health;
use burdock::upstream::spec::UpstreamSpec;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use super::state::State;

/// Every family, registered.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    decisions: IntCounterVec,
    redispatches: IntCounterVec,
    connect: HistogramVec,
    response: HistogramVec,
    server_requests: IntCounterVec,
    server_failures: IntCounterVec,
    health_changes: IntCounterVec,
    up: IntGaugeVec,
    in_flight: IntGaugeVec,
    weight: IntGaugeVec,
    connections: IntGauge,
    malformed: [IntCounter; 2],
    log_dropped: IntCounter,
    uptime: Gauge,
}

/// A request that was answered before any hook saw it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    Syntax,
    /// Its header block took too long.
    Timeout,
}

/// A route's counters, by status class (`none` first, for requests that got no response).
#[derive(Debug)]
pub struct RouteMeters([IntCounter; 6]);

/// An upstream's counters.
#[derive(Debug)]
pub struct UpstreamMeters {
    decisions: Box<[OnceLock<IntCounter>]>,
    family: IntCounterVec,
    name: Box<str>,
    pub redispatches: IntCounter,
    pub connect: Histogram,
    pub response: Histogram,
    pub servers: Box<[Arc<ServerMeters>]>,
}

/// A server's counters.
#[derive(Debug)]
pub struct ServerMeters {
    tied: IntCounter,
    new: IntCounter,
    moved: IntCounter,
    pub failures: IntCounter,
}

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
const CONNECT_SECONDS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const RESPONSE_SECONDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

impl Metrics {
    /// Makes and registers all families.
    ///
    /// # Errors
    /// If two families had one name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let on = |opts: Opts| opts.namespace("burdock");
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(&registry, IntCounterVec::new(on(Opts::new(name, help)), labels)?)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            registered(&registry, IntGaugeVec::new(on(Opts::new(name, help)), labels)?)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).namespace("burdock").buckets(buckets.to_vec());
            registered(&registry, HistogramVec::new(opts, &["upstream"])?)
        };
        let malformed = counter(
            "malformed_requests_total",
            "Requests that were answered or cut off before they were understood",
            &["kind"],
        )?;
        let build = gauge("build_info", "Which Burdock this is; always 1", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            requests: counter(
                "requests_total",
                "Requests by route and class of the status sent to the client",
                &["route", "status"],
            )?,
            decisions: counter(
                "decisions_total",
                "Requests by why they went where they went and which kind of entry decided",
                &["upstream", "reason", "method"],
            )?,
            redispatches: counter(
                "redispatches_total",
                "Requests sent to another server after an attempt failed",
                &["upstream"],
            )?,
            connect: histogram(
                "upstream_connect_seconds",
                "Time to connect to a server, for new connections",
                CONNECT_SECONDS,
            )?,
            response: histogram(
                "upstream_response_seconds",
                "Time from a request's dispatch to the head of its response",
                RESPONSE_SECONDS,
            )?,
            server_requests: counter(
                "server_requests_total",
                "Requests answered by a server: of sessions tied to it, new to it, or moved to it (for good or for a while)",
                &["upstream", "server", "tie"],
            )?,
            server_failures: counter("server_failures_total", "Attempts at a server that failed", &["upstream", "server"])?,
            health_changes: counter(
                "server_health_changes_total",
                "Changes of a server's health",
                &["upstream", "server", "to"],
            )?,
            up: gauge("server_up", "Whether a server may be used as far as its health goes", &["upstream", "server"])?,
            in_flight: gauge(
                "server_in_flight_requests",
                "Requests and upgraded streams that a server is working on",
                &["upstream", "server"],
            )?,
            weight: gauge("server_weight", "A server's weight", &["upstream", "server"])?,
            connections: registered(
                &registry,
                IntGauge::with_opts(on(Opts::new("connections", "Client connections that are open")))?,
            )?,
            malformed: [malformed.with_label_values(&["syntax"]), malformed.with_label_values(&["timeout"])],
            log_dropped: registered(
                &registry,
                IntCounter::with_opts(on(Opts::new(
                    "access_log_dropped_lines_total",
                    "Access-log lines dropped because the log could not keep up",
                )))?,
            )?,
            uptime: registered(
                &registry,
                Gauge::with_opts(on(Opts::new("uptime_seconds", "Time since the process started")))?,
            )?,
            registry,
        })
    }

    pub fn malformed(&self, kind: Malformed) {
        self.malformed[match kind {
            Malformed::Syntax => 0,
            Malformed::Timeout => 1,
        }]
        .inc();
    }

    pub fn log_dropped(&self) -> IntCounter {
        self.log_dropped.clone()
    }

    /// Counts a change of a server's health.
    pub fn health_changed(&self, upstream: &str, server: &str, to: Health) {
        let to = match to {
            Health::Up => "up",
            Health::Down | Health::Unchecked => "down",
        };
        self.health_changes.with_label_values(&[upstream, server, to]).inc();
    }

    pub fn route(&self, name: &str) -> RouteMeters {
        RouteMeters(CLASSES.map(|class| self.requests.with_label_values(&[name, class])))
    }

    pub fn upstream(&self, spec: &UpstreamSpec) -> UpstreamMeters {
        let name = spec.name.as_str();
        UpstreamMeters {
            decisions: (0..Reason::ALL.len() * Method::ALL.len()).map(|_| OnceLock::new()).collect(),
            family: self.decisions.clone(),
            name: name.into(),
            redispatches: self.redispatches.with_label_values(&[name]),
            connect: self.connect.with_label_values(&[name]),
            response: self.response.with_label_values(&[name]),
            servers: spec.servers.iter().map(|server| Arc::new(self.server(name, server.id.as_str()))).collect(),
        }
    }

    fn server(&self, upstream: &str, server: &str) -> ServerMeters {
        let requests = |tie| self.server_requests.with_label_values(&[upstream, server, tie]);
        ServerMeters {
            tied: requests("tied"),
            new: requests("new"),
            moved: requests("moved"),
            failures: self.server_failures.with_label_values(&[upstream, server]),
        }
    }

    /// All families as Prometheus reads them; gauges are taken now.
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn render(&self, state: &State) -> prometheus::Result<String> {
        self.connections.set(state.connections.count() as i64);
        self.uptime.set(state.clock.uptime().0.as_secs_f64());
        for lane in state.snapshot.load().lanes() {
            let upstream = lane.pool.upstream();
            for server in upstream.servers() {
                let labels = [upstream.name().as_str(), server.id().as_str()];
                self.up.with_label_values(&labels).set(i64::from(server.health() == Health::Up));
                self.in_flight.with_label_values(&labels).set(i64::from(server.in_flight()));
                self.weight.with_label_values(&labels).set(i64::from(server.weight()));
            }
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl RouteMeters {
    /// Counts a request by its status; none where no response was sent.
    pub fn finished(&self, status: Option<u16>) {
        let class = status.map_or(0, |status| usize::from(status / 100).min(5));
        self.0[class].inc();
    }
}

impl UpstreamMeters {
    pub fn decided(&self, reason: Reason, method: Method) {
        let counter = self.decisions[reason.index() * Method::ALL.len() + method.index()]
            .get_or_init(|| self.family.with_label_values(&[&*self.name, reason.as_str(), method.as_str()]));
        counter.inc();
    }
}

impl ServerMeters {
    /// Counts a request that this server answered.
    pub fn answered(&self, fate: Fate) {
        match fate {
            Fate::Kept => &self.tied,
            Fate::New => &self.new,
            Fate::Moved | Fate::Detour => &self.moved,
        }
        .inc();
    }
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
