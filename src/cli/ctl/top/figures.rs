//! What two snapshots of a process say: its upstreams and servers, with rates. It asks nobody and prints nothing but a table.

use std::time::Duration;

use serde_json::json;

use super::column::Column;
use crate::api::process::Version;
use crate::api::server::ServerInfo;
use crate::api::upstream::{UpstreamInfo, UpstreamList};
use crate::cli::ctl::metrics::Counters;
use crate::cli::ctl::text::{Columns, sessions, span};

pub const UPSTREAM_HEADING: [&str; 6] = ["upstream", "req/s", "in flight", "sessions", "taking new", "reasons per second"];

/// The state and counters at one time.
pub struct Snapshot {
    pub at: Duration,
    pub version: Version,
    pub upstreams: UpstreamList,
    pub servers: Vec<ServerInfo>,
    pub counters: Counters,
}

/// The state now, and rates per second since the snapshot before.
#[derive(Clone, Debug)]
pub struct Figures {
    pub version: Version,
    pub requests: f64,
    pub upstreams: Vec<UpstreamFigures>,
    pub servers: Vec<ServerFigures>,
}

#[derive(Clone, Debug)]
pub struct UpstreamFigures {
    pub info: UpstreamInfo,
    pub requests: f64,
    /// The reasons of its requests, the most frequent first.
    pub reasons: Vec<(String, f64)>,
}

#[derive(Clone, Debug)]
pub struct ServerFigures {
    pub info: ServerInfo,
    pub requests: f64,
    pub failures: f64,
}

impl Figures {
    pub fn between(before: &Snapshot, now: &Snapshot) -> Self {
        let upstreams = now.upstreams.upstreams.iter().map(|info| UpstreamFigures {
            info: info.clone(),
            requests: rate(before, now, "burdock_decisions_total", &[("upstream", &info.name)]),
            reasons: reasons(before, now, &info.name),
        });
        let servers = now.servers.iter().map(|info| {
            let labels = [("upstream", &*info.upstream), ("server", &*info.id)];
            ServerFigures {
                info: info.clone(),
                requests: rate(before, now, "burdock_server_requests_total", &labels),
                failures: rate(before, now, "burdock_server_failures_total", &labels),
            }
        });
        Self {
            version: now.version.clone(),
            requests: rate(before, now, "burdock_requests_total", &[]),
            upstreams: upstreams.collect(),
            servers: servers.collect(),
        }
    }

    /// The process in one line.
    pub fn head(&self) -> String {
        let Version { version, uptime, readiness, connections, .. } = &self.version;
        let (uptime, readiness, requests) = (span(*uptime), readiness.as_str(), self.requests);
        format!(
            "burdock {version}, up for {uptime}, {readiness}, {connections} client connections, {requests:.1} requests/s"
        )
    }

    /// All of it as text.
    pub fn page(&self) -> String {
        let mut upstreams = Columns::new(&UPSTREAM_HEADING);
        self.upstreams.iter().for_each(|upstream| upstreams.row(upstream.cells()));
        let mut servers = Columns::new(&Column::ALL.map(Column::heading));
        self.servers.iter().for_each(|server| servers.row(Column::ALL.map(|column| column.cell(server))));
        format!("{}\n\n{}\n{}", self.head(), upstreams.text(), servers.text())
    }

    pub fn to_json(&self) -> serde_json::Value {
        let upstreams = self.upstreams.iter().map(|upstream| {
            let reasons: serde_json::Map<_, _> =
                upstream.reasons.iter().map(|(reason, rate)| (reason.clone(), json!(rate))).collect();
            json!({"upstream": upstream.info, "reasons_per_second": reasons})
        });
        let servers = self.servers.iter().map(|server| {
            json!({"server": server.info, "requests_per_second": server.requests, "failures_per_second": server.failures})
        });
        json!({"version": self.version, "upstreams": upstreams.collect::<Vec<_>>(), "servers": servers.collect::<Vec<_>>()})
    }
}

impl UpstreamFigures {
    pub fn cells(&self) -> [String; UPSTREAM_HEADING.len()] {
        let reasons: Vec<String> = self.reasons.iter().map(|(reason, rate)| format!("{reason} {rate:.1}")).collect();
        [
            self.info.name.clone(),
            format!("{:.1}", self.requests),
            self.info.in_flight.to_string(),
            sessions(self.info.sessions),
            format!("{} of {}", self.info.taking_new, self.info.servers),
            reasons.join(", "),
        ]
    }
}

/// The rate per second between two snapshots.
fn rate(before: &Snapshot, now: &Snapshot, name: &str, labels: &[(&str, &str)]) -> f64 {
    let time = now.at.saturating_sub(before.at).as_secs_f64();
    let gained = now.counters.sum(name, labels) - before.counters.sum(name, labels);
    if time > 0.0 { gained.max(0.0) / time } else { 0.0 }
}

fn reasons(before: &Snapshot, now: &Snapshot, upstream: &str) -> Vec<(String, f64)> {
    let of = [("upstream", upstream)];
    let all = now.counters.by("burdock_decisions_total", &of, "reason").into_keys();
    let rates = all.map(|reason| {
        let rate = rate(before, now, "burdock_decisions_total", &[("upstream", upstream), ("reason", &reason)]);
        (reason, rate)
    });
    let mut rates: Vec<_> = rates.filter(|(_, rate)| *rate > 0.0).collect();
    rates.sort_by(|a, b| b.1.total_cmp(&a.1));
    rates
}
