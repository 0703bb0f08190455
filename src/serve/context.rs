//! A request's state between hooks: each phase holds only the state of that phase.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use burdock::balancer::exchange::{Exchange, Refusal, Settlement};
use burdock::balancer::reason::Reason;
use burdock::http::edits::Edits;
use burdock::http::hop_by_hop::RequestHops;
use burdock::http::request::Response;
use burdock::sticky::learn_table::DeferredLearn;
use burdock::time::{Now, Uptime};
use burdock::upstream::Upstream;
use burdock::upstream::health::Health;
use burdock::upstream::outlier::Attempt;
use burdock::upstream::queue::Slot;
use burdock::upstream::retry::{ConnectionNeed, Failure, Progress, ShouldRetry};
use burdock::upstream::spec::{ConnectionSharing, OnMarkedDown, Timeouts};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};

use super::confirm;
use super::confirm::Confirmations;
use super::message::{Ended, ResponseHead};
use super::reply::{self, RetryAfter};
use super::state::ServingState;
use crate::client::client_stream::ClientStream;
use crate::client::close_on_down::Registration;
use crate::runtime::clock::{Clock, Moment};
use crate::serve::generation::UpstreamHandle;
use crate::servers::connection_use::ConnectionUse;
use crate::servers::private::Reused;
use crate::telemetry::request_record::{RecordSinks, RequestRecord};

/// The state that Pingora passes from hook to hook.
pub struct Context {
    pub record: RequestRecord,
    pub phase: Phase,
    /// The request's hop-by-hop headers.
    pub hops: RequestHops,
    sending: Option<Sending>,
    body: Body,
    /// Sessions to learn when the response is complete.
    pending: Vec<DeferredLearn>,
    /// What the response is to wait for.
    confirmations: Confirmations,
    retry_after: RetryAfter,
    /// The status that the last failed attempt would have given.
    last_failure: u16,
    /// Set if the request uses private connections.
    private: Option<Reused>,
}

/// The phase of a request.
pub enum Phase {
    /// Not routed yet, or refused.
    Arriving,
    Balancing(Box<Balancing>),
    /// The final response is settled; the generation is released, however long the response lasts.
    Settled,
}

/// A request between routing and its final response.
pub struct Balancing {
    pub upstream: Arc<UpstreamHandle>,
    pub exchange: Exchange,
}

/// An attempt in progress.
struct Sending {
    dispatched: Uptime,
    _slot: Slot,
    /// Set if the upstream closes connections when their server goes down.
    close_on_down: Option<Registration>,
}

/// The request body so far, against its limit.
#[derive(Default)]
struct Body {
    read: u64,
    limit: Option<u64>,
}

impl Context {
    pub fn new(sinks: Arc<RecordSinks>) -> Self {
        Self {
            record: RequestRecord::new(sinks),
            phase: Phase::Arriving,
            hops: RequestHops::Something,
            sending: None,
            body: Body::default(),
            pending: Vec::new(),
            confirmations: Confirmations::new(),
            retry_after: RetryAfter::Omit,
            last_failure: 502,
            private: None,
        }
    }

    /// The request has a route and an exchange.
    pub fn balancing(&mut self, upstream: Arc<UpstreamHandle>, exchange: Exchange) {
        self.body.limit = upstream.sticky.upstream().spec().limits.body;
        self.phase = Phase::Balancing(Box::new(Balancing { upstream, exchange }));
    }

    /// The time of a pick. The clock is read again only for a redispatch: the first pick follows the request at once.
    pub fn moment_of_pick(&self, clock: Clock) -> Now {
        let started = self.record.started;
        if self.record.tries == 0 { started.now() } else { clock.moment_after(started).now() }
    }

    /// A server was picked for the next attempt.
    pub fn sent(&mut self, at: usize, slot: Slot, stream: Option<&ClientStream>, state: &ServingState, now: Now) {
        self.body.read = 0;
        let Phase::Balancing(balancing) = &self.phase else { return };
        let upstream = balancing.upstream.sticky.upstream();
        let close_on_down = stream.and_then(|stream| close_on_down(upstream, at, stream, state));
        self.sending = Some(Sending { dispatched: now.uptime, _slot: slot, close_on_down });
        let exchange = &balancing.exchange;
        self.record.wait = exchange.waited();
        self.record.tries = self.record.tries.saturating_add(1);
        self.record.server = Some(at);
        self.record.from = exchange.from().map(|from| from.id().clone());
        self.record.method = exchange.method();
        self.record.reason = exchange.decision().map(|decision| decision.reason);
        self.record.tie_outcome = exchange.decision().map(|decision| decision.outcome);
        self.record.foreign = exchange.foreign();
    }

    /// The peer of the picked server. If the request has waited or was sent before, the current configuration may have another
    /// address for it.
    pub fn peer(&self, at: usize, purpose: ConnectionUse, state: &ServingState) -> Option<HttpPeer> {
        let Phase::Balancing(balancing) = &self.phase else { return None };
        let at_once = self.record.tries == 1 && self.record.wait.is_none();
        Some(if at_once {
            balancing.upstream.peer(at, purpose)
        } else {
            state.generation.load().peer(&balancing.upstream, at, purpose)
        })
    }

    /// The address of the picked server, as a Host header.
    pub fn server_address(&self) -> Option<HeaderValue> {
        let Phase::Balancing(balancing) = &self.phase else { return None };
        let servers = &balancing.upstream.sticky.upstream().spec().servers;
        HeaderValue::from_str(&servers.get(self.record.server?)?.address.to_string()).ok()
    }

    /// Whether the upstream's connections to servers are shared.
    pub fn sharing(&self) -> ConnectionSharing {
        match &self.phase {
            Phase::Balancing(balancing) => balancing.upstream.sticky.upstream().spec().connections,
            Phase::Arriving | Phase::Settled => ConnectionSharing::Shared,
        }
    }

    /// The time limits of its upstream; none without one.
    pub fn timeouts(&self) -> Option<Timeouts> {
        match &self.phase {
            Phase::Balancing(balancing) => Some(balancing.upstream.sticky.upstream().spec().timeouts),
            Phase::Arriving | Phase::Settled => None,
        }
    }

    /// The connection that the next attempt needs.
    pub fn connection_need(&self) -> ConnectionNeed {
        match &self.phase {
            Phase::Balancing(balancing) => balancing.exchange.connection(),
            Phase::Arriving | Phase::Settled => ConnectionNeed::Any,
        }
    }

    /// Marks that the request uses private connections, and returns where to record whether it got a reused one.
    pub fn uses_private(&mut self) -> &Reused {
        self.private.get_or_insert_default()
    }

    /// Whether the request's connection to its server was reused. `reused` is Pingora's view.
    pub fn is_on_kept_connection(&self, reused: bool) -> bool {
        reused || self.private.as_ref().is_some_and(Reused::is_reused)
    }

    /// The balancer refuses the request.
    pub fn refused(&mut self, refusal: Refusal) {
        self.retry_after = RetryAfter::Send;
        self.sending = None;
        self.unserved(refusal.reason);
    }

    /// The client disconnected while the request waited for a server.
    pub fn client_left(&mut self, reason: Reason) {
        self.unserved(reason);
    }

    fn unserved(&mut self, reason: Reason) {
        self.record.server = None;
        self.record.reason = Some(reason);
        if let Phase::Balancing(balancing) = &self.phase {
            self.record.wait = balancing.exchange.waited();
        }
    }

    pub fn retry_after(&self) -> RetryAfter {
        self.retry_after
    }

    /// Remembers the error of an attempt: if the request has no other server, it is the answer.
    pub fn attempt_failed(&mut self, error: &Error) {
        self.last_failure = reply::code(error).unwrap_or(502);
    }

    /// The status that the last failed attempt would have given.
    pub fn last_failure(&self) -> u16 {
        self.last_failure
    }

    pub fn connected(&mut self, now: Uptime) {
        self.record.connect = self.sending.as_ref().map(|sending| now.since(sending.dispatched));
    }

    /// An attempt failed: releases its slot, counts it, and asks the core whether to retry.
    pub fn failed(
        &mut self,
        failure: Failure,
        method: &Method,
        progress: Progress,
        state: &Arc<ServingState>,
    ) -> ShouldRetry {
        self.sending = None;
        let Phase::Balancing(balancing) = &mut self.phase else { return ShouldRetry::No };
        if let Some(at) = self.record.server.filter(|_| !matches!(failure, Failure::Stale | Failure::Shortage)) {
            balancing.upstream.meters.servers[at].failed();
            let upstream = balancing.upstream.sticky.upstream();
            if let Some(ejection) = upstream.attempted(at, Attempt::Failed(failure), state.clock.uptime()) {
                (state.on_ejection)(state, upstream, at, ejection);
            }
        }
        balancing.exchange.failed(failure, method, progress)
    }

    /// No connection could be opened for lack of something on this host: the tie stays, and the client may come again soon.
    pub fn short_of_resources(&mut self) {
        self.retry_after = RetryAfter::Send;
    }

    /// Whether a server's answer with this status is dropped and the request sent to another server. Then the attempt has
    /// failed: its slot is released.
    pub fn retries_answer(
        &mut self,
        status: StatusCode,
        method: &Method,
        progress: Progress,
        state: &Arc<ServingState>,
    ) -> ShouldRetry {
        let Phase::Balancing(balancing) = &mut self.phase else { return ShouldRetry::No };
        if balancing.exchange.answered(status, method, progress) == ShouldRetry::No {
            return ShouldRetry::No;
        }
        self.last_failure = status.as_u16();
        let upstream = Arc::clone(&balancing.upstream);
        if let Some(at) = self.record.server {
            upstream.meters.servers[at].failed();
        }
        self.answered(&upstream, status, state.clock.uptime(), state);
        self.sending = None;
        ShouldRetry::Yes
    }

    /// Counts a chunk of the request's body against the limit.
    pub fn body_piece(&mut self, bytes: usize) -> Result<()> {
        self.body.read += bytes as u64;
        match self.body.limit {
            Some(limit) if self.body.read > limit => Err(reply::status(413, "the body is over the limit")),
            Some(_) | None => Ok(()),
        }
    }

    /// Settles the tie with the server that answered, and releases the generation.
    pub fn settle(&mut self, response: &ResponseHead<'_>, now: Now, state: &Arc<ServingState>) -> Option<Settlement> {
        let Phase::Balancing(balancing) = std::mem::replace(&mut self.phase, Phase::Settled) else { return None };
        self.record.response = self.sending.as_ref().map(|sending| now.uptime.since(sending.dispatched));
        self.answered(&balancing.upstream, response.status, now.uptime, state);
        let facts = Response { status: response.status, headers: response.headers };
        let mut settlement = balancing.exchange.settle(&facts, now, &mut rand::rng());
        if let Some(entry) = settlement.dropped {
            balancing.upstream.warn_of_dropped_cookie(entry);
        }
        self.confirmations = confirm::of(settlement.action, &balancing.upstream.sticky);
        self.record.settled = settlement.action;
        self.record.tie_outcome = settlement.outcome;
        self.record.moved = settlement.moved;
        self.pending.append(&mut settlement.pending);
        Some(settlement)
    }

    /// What the response is to wait for once it is settled.
    pub fn take_confirmations(&mut self) -> Confirmations {
        std::mem::take(&mut self.confirmations)
    }

    /// What the answer says of its server. If that ejects the server, whose connections are closed then, this one is not: it has
    /// its answer.
    fn answered(&mut self, upstream: &UpstreamHandle, status: StatusCode, now: Uptime, state: &Arc<ServingState>) {
        let Some(at) = self.record.server else { return };
        let upstream = upstream.sticky.upstream();
        if let Some(ejection) = upstream.attempted(at, Attempt::Answered(status), now) {
            if let Some(sending) = &mut self.sending {
                sending.close_on_down = None;
            }
            (state.on_ejection)(state, upstream, at, ejection);
        }
    }

    /// The edits of an informational response.
    pub fn interim_edits(&self, headers: &HeaderMap, now: Now) -> Option<Edits> {
        match &self.phase {
            Phase::Balancing(balancing) => Some(balancing.exchange.interim_edits(headers, now)),
            Phase::Arriving | Phase::Settled => None,
        }
    }

    /// The request ends with an error; `code` is the status for the client.
    pub fn ended_by(&mut self, code: Option<u16>) {
        self.record.status = code;
        if matches!(self.phase, Phase::Arriving) {
            self.record.reason = Some(Reason::Refused);
        }
    }

    /// The client has the complete response: learns the sessions that wait for that.
    pub fn completed(&mut self, now: Now) {
        for pending in self.pending.drain(..) {
            self.record.settled = self.record.settled.at_end(pending.apply(now));
        }
    }

    /// Completes the record at the end of the request.
    pub fn finish(&mut self, request: Ended, ended: Moment) {
        self.record.ended = Some(ended);
        if let Some(status) = request.status {
            self.record.status = Some(status.as_u16());
        }
        self.record.bytes_in = request.bytes_in;
        self.record.bytes_out = request.bytes_out;
        self.sending = None;
    }

    /// The edits of the request that goes to a server, beside those of its hops.
    pub fn edit_request(&self, headers: &HeaderMap, edits: &mut Edits) {
        if let Phase::Balancing(balancing) = &self.phase {
            balancing.exchange.edit_request(headers, self.record.started.now(), edits);
        }
    }
}

/// Registers the connection to close when its server goes down, if the upstream configures it.
fn close_on_down(upstream: &Upstream, at: usize, stream: &ClientStream, state: &ServingState) -> Option<Registration> {
    let spec = upstream.spec();
    if spec.on_marked_down == OnMarkedDown::Keep {
        return None;
    }
    let server = &upstream.servers()[at];
    let registration = state.close_on_down.register(server, stream.close_handle());
    // The server may have gone down since the pick. With a panic threshold it may have been down before.
    if spec.panic_threshold.is_none() && server.health() == Health::Down {
        stream.close_handle().close();
    }
    Some(registration)
}

#[cfg(test)]
mod tests {
    use burdock::balancer::exchange::Assignment;
    use burdock::http::request::{Request, Scheme};
    use burdock::route::RouteIndex;

    use super::*;
    use crate::control::state::{ProcessState, fixture};

    fn state(directory: &std::path::Path) -> Arc<ProcessState> {
        fixture::state(
            directory,
            "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2'], sticky: cookie}}",
        )
    }

    /// A request that was sent to its server, with no later hook.
    fn sent(state: &Arc<ServingState>) -> Context {
        let mut context = Context::new(Arc::clone(&state.record_sinks));
        let generation = state.generation.load();
        let upstream = generation.upstream_of(RouteIndex(0));
        context.record.upstream = Some(Arc::clone(&upstream.meters));
        let (method, headers) = (::http::Method::GET, ::http::HeaderMap::new());
        let client = [192, 0, 2, 1].into();
        let (path, query, scheme) = ("/", None, Scheme::Http);
        let request = Request { method: &method, host: "a", path, query, headers: &headers, client, scheme };
        let now = context.record.started.now();
        let mut exchange = upstream.sticky.receive(&request, now);
        let Assignment::Send { at, slot } = exchange.pick(None, now, &mut rand::rng()) else { panic!("refused") };
        context.balancing(Arc::clone(upstream), exchange);
        context.sent(at, slot, None, state, now);
        context
    }

    #[test]
    fn settled_request_releases_its_generation() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path());
        let mut context = sent(&state.serving);
        let upstream = Arc::downgrade(&state.serving.generation.load().upstreams()[0]);
        let now = context.record.started.now();
        let (status, version) = (StatusCode::SWITCHING_PROTOCOLS, ::http::Version::HTTP_11);
        context.settle(&ResponseHead { status, version, headers: &HeaderMap::new() }, now, &state.serving).unwrap();
        let next = self::state(directory.path());
        state.publish(next.serving.generation.load_full());
        assert!(upstream.upgrade().is_none(), "an upgraded stream may last for days");
    }

    #[test]
    fn panic_in_a_hook_is_counted_logged_and_releases_the_slot() {
        let directory = tempfile::tempdir().unwrap();
        let state = Arc::clone(&state(directory.path()).serving);
        let in_flight = || state.generation.load().upstreams()[0].sticky.upstream().servers()[0].in_flight();
        let context = sent(&state);
        assert_eq!(in_flight(), 1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _context = context;
            panic!("in a hook");
        }));
        assert!(panicked.is_err());
        assert_eq!(in_flight(), 0);
        state.access_log.flush();
        let log = std::fs::read_to_string(directory.path().join("access.log")).unwrap();
        assert!(log.contains(" upstream=shop server=127.0.0.1:2 reason=new "), "{log}");
        let metrics = state.metrics.render(0, state.clock.moment().now(), std::iter::empty()).unwrap();
        assert!(metrics.contains(r#"burdock_decisions_total{method="none",reason="new",upstream="shop"} 1"#), "{metrics}");
    }
}
