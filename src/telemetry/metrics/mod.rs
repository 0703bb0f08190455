//! Metrics for Prometheus. Label values come from enums and the configuration, never from a request. There are at most 20
//! series per server, and histograms only per upstream.

mod exposition;
mod families;
mod kernel;
mod meters;
mod names;
mod servers;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use burdock::balancer::StickyUpstream;
use burdock::ids::{ServerId, UpstreamName};
use burdock::time::{Now, UnixSeconds};
use burdock::upstream::health::Condition;
use burdock::upstream::spec::UpstreamSpec;
use prometheus::{IntCounter, Registry, TextEncoder};

use families::{KernelFamilies, NameFamilies, ProcessFamilies, QueueFamilies, RequestFamilies, TableFamilies};
pub use meters::{RouteMeters, UpstreamMeters};
pub use names::Resolved;
use servers::ServerSeries;
pub use tables::StorageFigures;

/// All metrics: the families of the registry, and the series of servers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: RequestFamilies,
    queues: QueueFamilies,
    servers: ServerSeries,
    process: ProcessFamilies,
    tables: TableFamilies,
    names: NameFamilies,
    kernel: KernelFamilies,
    malformed: [IntCounter; 2],
    exchanges: [IntCounter; 2],
    shortages: [IntCounter; 3],
    /// The bytes of the last text.
    last_size: AtomicUsize,
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

/// Which engine serves a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EngineLabel {
    Pingora,
    Native,
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
        let exchanges = ["pingora", "native"].map(|engine| process.exchanges.with_label_values(&[engine]));
        // They exist from the start, so that an alert sees the first shortage.
        let shortages = ["descriptors", "ports", "memory"].map(|kind| process.shortages.with_label_values(&[kind]));
        let (requests, queues) = (RequestFamilies::register(&registry)?, QueueFamilies::register(&registry)?);
        let (tables, names) = (TableFamilies::register(&registry)?, NameFamilies::register(&registry)?);
        let kernel = KernelFamilies::register(&registry)?;
        let (servers, last_size) = Default::default();
        Ok(Self {
            registry,
            requests,
            queues,
            servers,
            process,
            tables,
            names,
            kernel,
            malformed,
            exchanges,
            shortages,
            last_size,
        })
    }

    /// Counts a request that an engine serves.
    pub fn exchange(&self, engine: EngineLabel) {
        match engine {
            EngineLabel::Pingora => &self.exchanges[0],
            EngineLabel::Native => &self.exchanges[1],
        }
        .inc();
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

    /// Counts a change of a server's health. A server that is gone has nothing to count in.
    pub fn health_changed(&self, upstream: &UpstreamName, server: &ServerId, to: Condition) {
        if let Some(meters) = self.servers.find(upstream, server) {
            meters.health_changed(to);
        }
    }

    /// Counts a reload.
    pub fn reloaded(&self, result: Reloaded, now: UnixSeconds) {
        self.process.reloads.with_label_values(&[result.as_str()]).inc();
        if result == Reloaded::Applied {
            self.process.configured.set(f64::from(now.0));
        }
    }

    /// Removes the series of a removed server. No generation may be published that has it again meanwhile.
    pub fn forget_server(&self, upstream: &UpstreamName, server: &ServerId) {
        self.servers.forget(upstream, server);
    }

    pub fn route(&self, name: &Arc<str>) -> RouteMeters {
        RouteMeters::new(name, &self.requests)
    }

    pub fn upstream(&self, spec: &UpstreamSpec) -> UpstreamMeters {
        UpstreamMeters::new(spec, &self.requests, &self.queues, &self.servers)
    }

    /// Formats all families for Prometheus, with current gauges of these upstreams.
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn render<'p>(
        &self,
        connections: usize,
        now: Now,
        upstreams: impl Iterator<Item = (&'p StickyUpstream, &'p UpstreamMeters)>,
    ) -> prometheus::Result<String> {
        self.process.connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
        self.process.uptime.set(now.uptime.0.as_secs_f64());
        upstreams.for_each(|(sticky, meters)| meters.take_gauges(sticky, now));
        let servers = self.servers.all();
        let rows: Vec<exposition::Row<'_>> = servers.iter().map(|meters| (&**meters, meters.gauges())).collect();
        let families = self.registry.gather();
        let (before, after) = families.split_at(families.partition_point(|family| family.name() < exposition::PREFIX));
        let mut text = String::with_capacity(self.last_size.load(Relaxed));
        TextEncoder::new().encode_utf8(before, &mut text)?;
        exposition::write(&rows, &mut text);
        TextEncoder::new().encode_utf8(after, &mut text)?;
        self.last_size.store(text.len(), Relaxed);
        Ok(text)
    }
}
