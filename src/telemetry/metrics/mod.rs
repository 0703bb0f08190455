//! Metrics for Prometheus. Label values come from enums and the configuration, never from a request. There are at most 20
//! series per server, and histograms only per upstream.

mod families;
mod kernel;
mod meters;
mod names;
mod servers;
mod tables;

use std::sync::Arc;

use burdock::balancer::StickyUpstream;
use burdock::ids::{ServerId, UpstreamName};
use burdock::time::{Now, UnixSeconds};
use burdock::upstream::health::Condition;
use burdock::upstream::spec::UpstreamSpec;
use prometheus::{Encoder, IntCounter, Registry, TextEncoder};

use families::{
    KernelFamilies, NameFamilies, ProcessFamilies, QueueFamilies, RequestFamilies, ServerFamilies, TableFamilies,
};
pub use meters::{RouteMeters, UpstreamMeters};
pub use names::Resolved;
pub use tables::StorageFigures;

/// All metric families, registered.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: RequestFamilies,
    queues: QueueFamilies,
    servers: ServerFamilies,
    process: ProcessFamilies,
    tables: TableFamilies,
    names: NameFamilies,
    kernel: KernelFamilies,
    malformed: [IntCounter; 2],
    shortages: [IntCounter; 3],
}

/// Why a request was refused before any hook saw it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    Syntax,
    /// Its header block took too long.
    Timeout,
}

/// What this host lacked when Burdock wanted to connect to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shortage {
    /// File descriptors, of the process or of the host.
    Descriptors,
    /// Local ports.
    Ports,
    /// Memory for sockets.
    Memory,
}

/// The result of a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reloaded {
    Applied,
    Refused,
}

impl Reloaded {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

impl Metrics {
    /// Creates and registers all families.
    ///
    /// # Errors
    /// If two families have the same name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let process = ProcessFamilies::register(&registry)?;
        let malformed = ["syntax", "timeout"].map(|kind| process.malformed.with_label_values(&[kind]));
        // They exist from the start, so that an alert sees the first shortage.
        let shortages = ["descriptors", "ports", "memory"].map(|kind| process.shortages.with_label_values(&[kind]));
        let (requests, servers) = (RequestFamilies::register(&registry)?, ServerFamilies::register(&registry)?);
        let (tables, names) = (TableFamilies::register(&registry)?, NameFamilies::register(&registry)?);
        let queues = QueueFamilies::register(&registry)?;
        let kernel = KernelFamilies::register(&registry)?;
        Ok(Self { registry, requests, queues, servers, process, tables, names, kernel, malformed, shortages })
    }

    pub fn malformed(&self, kind: Malformed) {
        match kind {
            Malformed::Syntax => &self.malformed[0],
            Malformed::Timeout => &self.malformed[1],
        }
        .inc();
    }

    /// Counts a connection to a server that could not be opened for lack of something on this host.
    pub fn short_of(&self, what: Shortage) {
        match what {
            Shortage::Descriptors => &self.shortages[0],
            Shortage::Ports => &self.shortages[1],
            Shortage::Memory => &self.shortages[2],
        }
        .inc();
    }

    pub fn log_dropped(&self) -> IntCounter {
        self.process.log_dropped.clone()
    }

    /// Counts a change of a server's health.
    pub fn health_changed(&self, upstream: &UpstreamName, server: &ServerId, to: Condition) {
        let labels = [upstream.as_str(), server.as_str(), to.as_str()];
        self.servers.health_changes.with_label_values(&labels).inc();
    }

    /// Counts a reload.
    pub fn reloaded(&self, result: Reloaded, now: UnixSeconds) {
        self.process.reloads.with_label_values(&[result.as_str()]).inc();
        if result == Reloaded::Applied {
            self.process.configured.set(f64::from(now.0));
        }
    }

    /// Removes the series of a removed server.
    pub fn forget_server(&self, upstream: &UpstreamName, server: &ServerId) {
        self.servers.forget(upstream.as_str(), server.as_str());
    }

    pub fn route(&self, name: &Arc<str>) -> RouteMeters {
        RouteMeters::new(name, &self.requests)
    }

    pub fn upstream(&self, spec: &UpstreamSpec) -> UpstreamMeters {
        UpstreamMeters::new(spec, &self.requests, &self.queues, &self.servers)
    }

    /// Formats all families for Prometheus, with current gauges.
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn render<'p>(
        &self,
        connections: usize,
        now: Now,
        upstreams: impl Iterator<Item = &'p StickyUpstream>,
    ) -> prometheus::Result<String> {
        self.process.connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
        self.process.uptime.set(now.uptime.0.as_secs_f64());
        upstreams.for_each(|sticky| self.servers.take_gauges(sticky, now));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
