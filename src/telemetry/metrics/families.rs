//! The metric families: names, help texts and labels, each in one place.

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

const CONNECT_SECONDS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const RESPONSE_SECONDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const WAIT_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0];

const REQUESTS: &str = "Requests by route and class of the status sent to the client";
const REDISPATCHES: &str = "Requests sent to another server after an attempt failed";

/// Requests and decisions.
#[derive(Debug)]
pub struct RequestFamilies {
    pub requests: IntCounterVec,
    pub decisions: IntCounterVec,
    pub redispatches: IntCounterVec,
    pub moved: IntCounterVec,
    pub foreign: IntCounterVec,
    pub connect: HistogramVec,
    pub response: HistogramVec,
}

/// Waiting for slots at full servers.
#[derive(Debug)]
pub struct QueueFamilies {
    pub timeouts: IntCounterVec,
    pub wait: HistogramVec,
}

/// A family of which each server has series: at most thirteen counters and seven gauges. They are not in the registry.
#[derive(Debug)]
pub struct ServerFamily {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
}

pub const SERVER_REQUESTS: ServerFamily = ServerFamily::counter(
    "server_requests_total",
    "Requests answered by a server, by tie: tied to it, new, or moved to it (permanently or temporarily)",
);
pub const SERVER_RESPONSES: ServerFamily = ServerFamily::counter(
    "server_responses_total",
    "Responses of a server by class of their status, whether or not the client got them",
);
pub const SERVER_FAILURES: ServerFamily = ServerFamily::counter("server_failures_total", "Failed attempts at a server");
pub const SERVER_HEALTH_CHANGES: ServerFamily =
    ServerFamily::counter("server_health_changes_total", "Health changes of a server, by new state");
pub const SERVER_UP: ServerFamily =
    ServerFamily::gauge("server_up", "Whether a server is healthy enough for requests (1) or not (0)");
pub const SERVER_STATE: ServerFamily = ServerFamily::gauge("server_state", "The administrative state of a server; always 1");
pub const SERVER_IN_FLIGHT: ServerFamily =
    ServerFamily::gauge("server_in_flight_requests", "Requests and upgraded streams in flight at a server");
pub const SERVER_QUEUE: ServerFamily =
    ServerFamily::gauge("server_queue", "Requests that wait for a slot at a server with max_conns");
pub const SERVER_WEIGHT: ServerFamily = ServerFamily::gauge("server_weight", "A server's weight");
pub const SERVER_SESSIONS: ServerFamily =
    ServerFamily::gauge("server_sessions", "Live sessions of a server: exact for session tables, estimated for tokens");

/// Session tables.
#[derive(Debug)]
pub struct TableFamilies {
    pub sessions: IntGaugeVec,
    pub capacity: IntGaugeVec,
    pub bytes: IntGaugeVec,
    pub evictions: IntCounterVec,
    pub persisted: IntGaugeVec,
    pub errors: IntCounterVec,
    pub lost: IntCounterVec,
    pub late: IntCounterVec,
}

/// DNS names of servers.
#[derive(Debug)]
pub struct NameFamilies {
    pub lookups: IntCounterVec,
    pub answered: IntGaugeVec,
    pub addresses: IntGaugeVec,
}

/// The process.
#[derive(Debug)]
pub struct ProcessFamilies {
    pub connections: IntGauge,
    pub malformed: IntCounterVec,
    pub exchanges: IntCounterVec,
    pub shortages: IntCounterVec,
    pub log_dropped: IntCounter,
    pub uptime: Gauge,
    pub reloads: IntCounterVec,
    pub configured: Gauge,
}

/// What the kernel says of the process, under the names that Prometheus's client libraries use.
#[derive(Debug)]
pub struct KernelFamilies {
    pub cpu: Counter,
    pub open_descriptors: IntGauge,
    pub max_descriptors: IntGauge,
    pub resident: IntGauge,
    pub virtual_memory: IntGauge,
    pub threads: IntGauge,
    pub started: Gauge,
}

impl RequestFamilies {
    pub fn register(registry: &Registry) -> Result<Self> {
        Ok(Self {
            requests: counter(registry, "requests_total", REQUESTS, &["route", "status"])?,
            decisions: counter(
                registry,
                "decisions_total",
                "Routing decisions by reason and persistence method",
                &["upstream", "reason", "method"],
            )?,
            redispatches: counter(registry, "redispatches_total", REDISPATCHES, &["upstream"])?,
            moved: counter(
                registry,
                "sessions_moved_total",
                "Sessions moved permanently to another server, by cause",
                &["upstream", "cause"],
            )?,
            foreign: counter(
                registry,
                "foreign_tokens_total",
                "Requests decided by a token of another proxy, by format",
                &["upstream", "format"],
            )?,
            connect: histogram(
                registry,
                "upstream_connect_seconds",
                "Time to connect to a server, for new connections",
                CONNECT_SECONDS,
            )?,
            response: histogram(
                registry,
                "upstream_response_seconds",
                "Time from sending a request to a server to the head of its response",
                RESPONSE_SECONDS,
            )?,
        })
    }
}

impl QueueFamilies {
    pub fn register(registry: &Registry) -> Result<Self> {
        Ok(Self {
            timeouts: counter(
                registry,
                "queue_timeouts_total",
                "Waits for a slot at a full server that timed out",
                &["upstream"],
            )?,
            wait: histogram(
                registry,
                "queue_wait_seconds",
                "Time that requests waited for a slot at a full server, with or without success",
                WAIT_SECONDS,
            )?,
        })
    }
}

impl ServerFamily {
    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter }
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge }
    }
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

impl TableFamilies {
    pub fn register(registry: &Registry) -> Result<Self> {
        let labels = &["table"];
        Ok(Self {
            sessions: gauge(registry, "table_sessions", "Live sessions in a table", labels)?,
            capacity: gauge(registry, "table_capacity", "The most sessions that a table can hold", labels)?,
            bytes: gauge(registry, "table_bytes", "The most memory that a table can take, in bytes", labels)?,
            evictions: counter(
                registry,
                "table_evictions_total",
                "Sessions evicted early from a full table, by class",
                &["table", "class"],
            )?,
            persisted: gauge(
                registry,
                "table_persisted",
                "Whether a table's sessions are currently saved to disk (1) or not (0)",
                labels,
            )?,
            errors: counter(registry, "table_storage_errors_total", "Failures to read or write a table's files", labels)?,
            lost: counter(
                registry,
                "table_unjournaled_changes_total",
                "Changes that came too fast for the journal and wait for the next snapshot",
                labels,
            )?,
            late: counter(
                registry,
                "table_late_confirmations_total",
                "Responses sent before another process had confirmed the change of a learned session",
                labels,
            )?,
        })
    }
}

impl NameFamilies {
    pub fn register(registry: &Registry) -> Result<Self> {
        let labels = &["name"];
        Ok(Self {
            lookups: counter(
                registry,
                "dns_lookups_total",
                "DNS lookups of servers' names, by result",
                &["name", "result"],
            )?,
            answered: gauge(
                registry,
                "dns_answer_timestamp_seconds",
                "Time of a name's last good answer, in seconds since 1970",
                labels,
            )?,
            addresses: gauge(registry, "dns_addresses", "Addresses in a name's last good answer", labels)?,
        })
    }
}

impl ProcessFamilies {
    pub fn register(registry: &Registry) -> Result<Self> {
        let build = gauge(registry, "build_info", "The version of Burdock; always 1", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let dropped = named("access_log_dropped_lines_total", "Access-log lines dropped because the log could not keep up");
        Ok(Self {
            connections: registered(registry, IntGauge::with_opts(named("connections", "Open client connections"))?)?,
            shortages: counter(
                registry,
                "connect_shortages_total",
                "Connections to servers that could not be opened for lack of descriptors, ports or memory on this host",
                &["kind"],
            )?,
            malformed: counter(
                registry,
                "malformed_requests_total",
                "Requests refused or closed before they were parsed",
                &["kind"],
            )?,
            exchanges: counter(registry, "exchanges_total", "Requests by the HTTP/1 engine that served them", &["engine"])?,
            log_dropped: registered(registry, IntCounter::with_opts(dropped)?)?,
            uptime: registered(registry, Gauge::with_opts(named("uptime_seconds", "Time since the process started"))?)?,
            reloads: counter(registry, "reloads_total", "Reloads of the configuration, by result", &["result"])?,
            configured: registered(
                registry,
                Gauge::with_opts(named(
                    "configuration_timestamp_seconds",
                    "Time when the current configuration was applied, in seconds since 1970",
                ))?,
            )?,
        })
    }
}

impl KernelFamilies {
    pub fn register(registry: &Registry) -> Result<Self> {
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::with_opts(Opts::new(name, help))?);
        Ok(Self {
            cpu: registered(
                registry,
                Counter::new("process_cpu_seconds_total", "CPU time in user and kernel mode, in seconds")?,
            )?,
            open_descriptors: gauge("process_open_fds", "Open file descriptors")?,
            max_descriptors: gauge("process_max_fds", "The most file descriptors that may be open")?,
            resident: gauge("process_resident_memory_bytes", "Resident memory, in bytes")?,
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory, in bytes")?,
            threads: gauge("process_threads", "Threads")?,
            started: registered(
                registry,
                Gauge::new("process_start_time_seconds", "Time when the process started, in seconds since 1970")?,
            )?,
        })
    }
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(named(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(named(name, help), labels)?)
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Result<HistogramVec> {
    let opts = HistogramOpts::from(named(name, help)).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(opts, &["upstream"])?)
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("burdock")
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
