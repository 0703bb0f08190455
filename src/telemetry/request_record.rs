//! The record of a request: one log line and one set of metrics, written when the record is dropped, so that a request that
//! panics or is aborted is recorded too. It knows the log and the metrics, and nothing of how requests are served.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use burdock::balancer::reason::{MethodLabel, Move, Reason, TieAction, TieOutcome};
use burdock::http::path::without_parameters;
use burdock::ids::ServerId;
use burdock::session::foreign_format::ForeignFormat;

use super::metrics::{RouteMeters, UpstreamMeters};
use crate::runtime::clock::{Clock, Moment};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::access_log::format;
use crate::telemetry::metrics::Metrics;

/// Where records go.
#[derive(Debug)]
pub struct RecordSinks {
    clock: Clock,
    access_log: AccessLog,
    /// For requests that no route matches, or that are refused before they are routed.
    unrouted: RouteMeters,
}

/// A request's record.
#[derive(Debug)]
pub struct RequestRecord {
    sinks: Arc<RecordSinks>,
    pub started: Moment,
    /// When the request ended; none if it was aborted.
    pub ended: Option<Moment>,
    pub client: Option<IpAddr>,
    pub request: RequestLine,
    pub status: Option<u16>,
    pub route: Option<Arc<RouteMeters>>,
    pub upstream: Option<Arc<UpstreamMeters>>,
    /// The index of the last picked server.
    pub server: Option<usize>,
    pub from: Option<ServerId>,
    pub reason: Option<Reason>,
    pub method: MethodLabel,
    pub tie_outcome: Option<TieOutcome>,
    pub settled: TieAction,
    /// Why the session moved to another server, if it did.
    pub moved: Option<Move>,
    /// The format of the token that decided, if another proxy issued it.
    pub foreign: Option<ForeignFormat>,
    pub tries: u8,
    /// How long the request waited for slots at full servers; none if it did not wait.
    pub wait: Option<Duration>,
    pub connect: Option<Duration>,
    pub response: Option<Duration>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// The request in the log: the path without query and path parameters, which may contain session ids.
#[derive(Debug, Default)]
pub struct RequestLine {
    pub method: ::http::Method,
    /// Host and path, concatenated.
    text: Box<str>,
    host: usize,
}

impl RecordSinks {
    pub fn new(clock: Clock, access_log: AccessLog, metrics: &Metrics) -> Self {
        Self { clock, access_log, unrouted: metrics.route(&"none".into()) }
    }
}

impl RequestRecord {
    pub fn new(sinks: Arc<RecordSinks>) -> Self {
        let started = sinks.clock.moment();
        Self {
            sinks,
            started,
            ended: None,
            client: None,
            request: RequestLine::default(),
            status: None,
            route: None,
            upstream: None,
            server: None,
            from: None,
            reason: None,
            method: MethodLabel::NONE,
            tie_outcome: None,
            settled: TieAction::None,
            moved: None,
            foreign: None,
            tries: 0,
            wait: None,
            connect: None,
            response: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// The reported reason: a request without a decision was refused.
    pub fn reason(&self) -> Reason {
        self.reason.unwrap_or(Reason::Refused)
    }

    /// The id of the last picked server.
    pub fn server_id(&self) -> Option<&ServerId> {
        self.server.and_then(|at| self.upstream.as_ref().map(|upstream| &upstream.servers[at].id))
    }

    fn count(&self) {
        match &self.route {
            Some(route) => route.finished(self.status),
            None => self.sinks.unrouted.finished(self.status),
        }
        let Some(upstream) = &self.upstream else { return };
        upstream.decided(self.reason(), self.method);
        if self.reason == Some(Reason::Redispatched) {
            upstream.redispatches.inc();
        }
        self.moved.inspect(|&cause| upstream.moved(cause));
        self.foreign.inspect(|&format| upstream.foreign(format));
        self.wait.inspect(|wait| upstream.queue_wait.observe(wait.as_secs_f64()));
        self.connect.inspect(|connect| upstream.connect.observe(connect.as_secs_f64()));
        if let (Some(response), Some(server), Some(outcome)) = (self.response, self.server, self.tie_outcome) {
            upstream.response.observe(response.as_secs_f64());
            upstream.servers[server].answered(outcome);
        }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        self.count();
        if let Some(format) = self.sinks.access_log.format() {
            let ended = self.ended.unwrap_or_else(|| self.sinks.clock.moment_after(self.started));
            format::with(self, format, ended, |line| self.sinks.access_log.push(line));
        }
    }
}

impl RequestLine {
    pub fn new(method: ::http::Method, host: &str, path: &str) -> Self {
        let mut text = String::with_capacity(host.len() + path.len());
        text.push_str(host);
        text.push_str(&without_parameters(path));
        Self { method, text: text.into(), host: host.len() }
    }

    pub fn host(&self) -> &str {
        &self.text[..self.host]
    }

    pub fn path(&self) -> &str {
        &self.text[self.host..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_parameters_are_not_logged() {
        let line = RequestLine::new(::http::Method::GET, "a:80", "/shop;jsessionid=secret/cart;v=1");
        assert_eq!((line.host(), line.path()), ("a:80", "/shop/cart"));
        assert_eq!(RequestLine::new(::http::Method::GET, "", "/").path(), "/");
    }
}
