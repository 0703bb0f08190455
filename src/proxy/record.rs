//! What is known of a request when it is over: one log line and one set of metrics, written when the record is dropped, so
//! that a request that panics or is cut off is seen too.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use burdock::balancer::words::{Fate, Method, Reason, Settled};
use burdock::time::Uptime;
use burdock::upstream::{ServerId, UpstreamName};

use super::line;
use super::metrics::{RouteMeters, UpstreamMeters};
use super::state::State;

/// A request's record.
#[derive(Debug)]
pub struct Record {
    state: Arc<State>,
    pub started: Uptime,
    pub client: Option<IpAddr>,
    pub request: RequestLine,
    pub status: Option<u16>,
    pub route: Option<(Arc<str>, Arc<RouteMeters>)>,
    pub upstream: Option<(UpstreamName, Arc<UpstreamMeters>)>,
    pub server: Option<(ServerId, usize)>,
    pub from: Option<ServerId>,
    pub reason: Option<Reason>,
    pub method: Method,
    pub fate: Option<Fate>,
    pub settled: Settled,
    pub tries: u8,
    pub connect: Option<Duration>,
    pub response: Option<Duration>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// The request as the log names it: the path without query and path parameters, which may hold session ids.
#[derive(Debug, Default)]
pub struct RequestLine {
    pub method: ::http::Method,
    pub host: Box<str>,
    pub path: Box<str>,
}

impl Record {
    pub fn new(state: Arc<State>) -> Self {
        let started = state.clock.uptime();
        Self {
            state,
            started,
            client: None,
            request: RequestLine::default(),
            status: None,
            route: None,
            upstream: None,
            server: None,
            from: None,
            reason: None,
            method: Method::None,
            fate: None,
            settled: Settled::None,
            tries: 0,
            connect: None,
            response: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// The reason as it is reported: a request that never came to a decision was refused.
    pub fn reason(&self) -> Reason {
        self.reason.unwrap_or(Reason::Refused)
    }

    pub fn total(&self) -> Duration {
        self.state.clock.uptime().since(self.started)
    }

    fn count(&self) {
        if let Some((_, route)) = &self.route {
            route.finished(self.status);
        }
        let Some((_, upstream)) = &self.upstream else { return };
        upstream.decided(self.reason(), self.method);
        if self.reason == Some(Reason::Redispatched) {
            upstream.redispatches.inc();
        }
        self.connect.inspect(|connect| upstream.connect.observe(connect.as_secs_f64()));
        if let (Some(response), Some((_, server)), Some(fate)) = (self.response, &self.server, self.fate) {
            upstream.response.observe(response.as_secs_f64());
            upstream.servers[*server].answered(fate);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.count();
        if let Some(format) = self.state.access_log.format() {
            line::with(self, format, self.state.clock.wall(), |line| self.state.access_log.push(line));
        }
    }
}
