//! A request's state between hooks: each phase holds only what exists then.

use std::sync::Arc;

use burdock::balancer::exchange::{Exchange, Refusal, Settlement};
use burdock::balancer::reason::Reason;
use burdock::http::hygiene::RequestHops;
use burdock::http::request::Response;
use burdock::sticky::edits::ResponseEdits;
use burdock::sticky::learn_table::DeferredLearn;
use burdock::time::{Now, Uptime};
use burdock::upstream::Upstream;
use burdock::upstream::health::Health;
use burdock::upstream::outlier::Attempt;
use burdock::upstream::queue::Slot;
use burdock::upstream::retry::{Again, Failure, Progress};
use burdock::upstream::spec::{ConnectionSharing, OnMarkedDown};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::Session;

use super::reply::{self, RetryAfter};
use super::state::State;
use crate::edge::client_stream::ClientStream;
use crate::edge::close_on_down::Registered;
use crate::probing::probe;
use crate::runtime::clock::{Clock, Moment};
use crate::serve::generation::{Lane, Use};
use crate::servers::private::Kept;
use crate::telemetry::request_record::Record;

/// What Pingora carries from hook to hook for a request.
pub struct Context {
    pub record: Record,
    pub phase: Phase,
    /// What the request says that is for this hop only.
    pub hops: RequestHops,
    sending: Option<Sending>,
    body: Body,
    /// Sessions to learn when the response is complete.
    pending: Vec<DeferredLearn>,
    retry_after: RetryAfter,
    /// Of a request that uses private connections.
    private: Option<Kept>,
}

/// How far the request is.
pub enum Phase {
    /// Not routed yet, or refused.
    Arriving,
    Balancing(Box<Balancing>),
    /// A final response has been settled; the snapshot is let go, however long the response lasts.
    Settled,
}

/// A request that is looking for an answer.
pub struct Balancing {
    pub lane: Arc<Lane>,
    pub exchange: Exchange,
}

/// An attempt under way.
struct Sending {
    dispatched: Uptime,
    _place: Slot,
    /// Where the upstream wants connections closed when their server goes down.
    cut: Option<Registered>,
}

/// The request body so far, against its limit.
#[derive(Default)]
struct Body {
    read: u64,
    limit: Option<u64>,
}

impl Context {
    pub fn new(state: Arc<State>) -> Self {
        Self {
            record: Record::new(state),
            phase: Phase::Arriving,
            hops: RequestHops::Something,
            sending: None,
            body: Body::default(),
            pending: Vec::new(),
            retry_after: RetryAfter::Unsaid,
            private: None,
        }
    }

    /// The request has a route and an exchange.
    pub fn balancing(&mut self, lane: Arc<Lane>, exchange: Exchange) {
        self.body.limit = lane.pool.upstream().spec().limits.body;
        self.phase = Phase::Balancing(Box::new(Balancing { lane, exchange }));
    }

    /// The moment of a pick. The clock is read anew only for a redispatch: the first pick follows the request at once.
    pub fn moment_of_pick(&self, clock: Clock) -> Now {
        let started = self.record.started;
        if self.record.tries == 0 { started.now() } else { clock.moment_after(started).now() }
    }

    /// A server was picked for the next attempt.
    pub fn sent(&mut self, at: usize, slot: Slot, stream: Option<&ClientStream>, now: Now) {
        self.body.read = 0;
        let Phase::Balancing(balancing) = &self.phase else { return };
        let cut = stream.and_then(|stream| self.cut_with(balancing.lane.pool.upstream(), at, stream));
        self.sending = Some(Sending { dispatched: now.uptime, _place: slot, cut });
        let exchange = &balancing.exchange;
        self.record.wait = exchange.waited();
        self.record.tries = self.record.tries.saturating_add(1);
        self.record.server = Some(at);
        self.record.from = exchange.from().map(|from| from.id().clone());
        self.record.method = exchange.method();
        self.record.reason = exchange.decision().map(|decision| decision.reason);
        self.record.fate = exchange.decision().map(|decision| decision.outcome);
        self.record.foreign = exchange.foreign();
    }

    /// The peer of the server that was picked. If the request has waited, or was sent to another one before, another configuration
    /// may be in force by now and say where that is.
    pub fn peer(&self, at: usize, purpose: Use) -> Option<HttpPeer> {
        let Phase::Balancing(balancing) = &self.phase else { return None };
        let at_once = self.record.tries == 1 && self.record.wait.is_none();
        Some(if at_once {
            balancing.lane.peer(at, purpose)
        } else {
            self.record.state().snapshot.load().peer(&balancing.lane, at, purpose)
        })
    }

    /// Who may use the upstream's connections to servers.
    pub fn sharing(&self) -> ConnectionSharing {
        match &self.phase {
            Phase::Balancing(balancing) => balancing.lane.pool.upstream().spec().connections,
            Phase::Arriving | Phase::Settled => ConnectionSharing::Shared,
        }
    }

    /// The request uses private connections: where it is told whether it got one that was kept.
    pub fn uses_private(&mut self) -> &Kept {
        self.private.get_or_insert_default()
    }

    /// Whether the request's connection to its server is one that was kept, given what Pingora says of it.
    pub fn is_on_kept_connection(&self, reused: bool) -> bool {
        reused || self.private.as_ref().is_some_and(Kept::is_kept)
    }

    /// Lets the connection end with the server at this position, where that is wanted.
    fn cut_with(&self, upstream: &Upstream, at: usize, stream: &ClientStream) -> Option<Registered> {
        let spec = upstream.spec();
        if spec.on_marked_down == OnMarkedDown::Keep {
            return None;
        }
        let server = &upstream.servers()[at];
        let registered = self.record.state().cuts.register(server, stream.cut());
        // It may have gone down between the pick and now. In a panic it may have been so before.
        if spec.panic_threshold.is_none() && server.health() == Health::Down {
            stream.cut().cut();
        }
        Some(registered)
    }

    /// The balancer has no server for the request, or may not send it to another.
    pub fn refused(&mut self, refusal: Refusal) {
        self.retry_after = RetryAfter::Said;
        self.sending = None;
        self.unserved(refusal.reason);
    }

    /// The client has gone away while the request waited for a server.
    pub fn left(&mut self, reason: Reason) {
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

    pub fn connected(&mut self, now: Uptime) {
        self.record.connect = self.sending.as_ref().map(|sending| now.since(sending.dispatched));
    }

    /// An attempt failed: gives its place back, counts it, and asks the core whether there is to be another.
    pub fn failed(&mut self, failure: Failure, session: &Session, progress: Progress) -> Again {
        self.sending = None;
        let Phase::Balancing(balancing) = &mut self.phase else { return Again::No };
        if let Some(at) = self.record.server.filter(|_| failure != Failure::Stale) {
            balancing.lane.meters.servers[at].failures.inc();
            let (upstream, state) = (balancing.lane.pool.upstream(), self.record.state());
            if let Some(ejection) = upstream.attempted(at, Attempt::Failed(failure), state.clock.uptime()) {
                probe::ejected(state, upstream, at, ejection);
            }
        }
        balancing.exchange.failed(failure, &session.req_header().method, progress)
    }

    /// Counts a piece of the request's body.
    pub fn body_piece(&mut self, octets: usize) -> Result<()> {
        self.body.read += octets as u64;
        match self.body.limit {
            Some(limit) if self.body.read > limit => Err(reply::status(413, "the body is over the limit")),
            Some(_) | None => Ok(()),
        }
    }

    /// Settles the tie with the server that answered, and lets the snapshot go.
    pub fn settle(&mut self, response: &ResponseHeader, now: Now) -> Option<Settlement> {
        let Phase::Balancing(balancing) = std::mem::replace(&mut self.phase, Phase::Settled) else { return None };
        self.record.response = self.sending.as_ref().map(|sending| now.uptime.since(sending.dispatched));
        self.answered(&balancing.lane, response.status, now.uptime);
        let facts = Response { status: response.status, headers: &response.headers };
        let mut settlement = balancing.exchange.settle(&facts, now, &mut rand::rng());
        self.record.settled = settlement.action;
        self.record.fate = settlement.outcome;
        self.record.moved = settlement.moved;
        self.pending.append(&mut settlement.pending);
        Some(settlement)
    }

    /// What the answer says of its server. If that ejects the server, whose connections are closed then, this one is not: it has
    /// its answer.
    fn answered(&mut self, lane: &Lane, status: ::http::StatusCode, now: Uptime) {
        let Some(at) = self.record.server else { return };
        let upstream = lane.pool.upstream();
        if let Some(ejection) = upstream.attempted(at, Attempt::Answered(status), now) {
            self.sending.iter_mut().for_each(|sending| sending.cut = None);
            probe::ejected(self.record.state(), upstream, at, ejection);
        }
    }

    /// What is to be changed in an informational response.
    pub fn interim_edits(&self, response: &ResponseHeader, now: Now) -> Option<ResponseEdits> {
        match &self.phase {
            Phase::Balancing(balancing) => Some(balancing.exchange.interim_edits(&response.headers, now)),
            Phase::Arriving | Phase::Settled => None,
        }
    }

    /// The request ends with an error; this is the status that the client was to see.
    pub fn ended_by(&mut self, code: Option<u16>) {
        self.record.status = code;
        if matches!(self.phase, Phase::Arriving) {
            self.record.reason = Some(Reason::Refused);
        }
    }

    /// The response has reached the client to its end: what was to wait for that is learned.
    pub fn completed(&mut self, now: Now) {
        for pending in self.pending.drain(..) {
            self.record.settled = self.record.settled.at_end(pending.apply(now.wall));
        }
    }

    /// Everything about the request is known.
    pub fn finish(&mut self, session: &Session, ended: Moment) {
        self.record.ended = Some(ended);
        if let Some(response) = session.response_written() {
            self.record.status = Some(response.status.as_u16());
        }
        self.record.bytes_in = session.as_ref().body_bytes_read() as u64;
        self.record.bytes_out = session.as_ref().body_bytes_sent() as u64;
        self.sending = None;
    }
}

#[cfg(test)]
mod tests {
    use burdock::balancer::exchange::Assignment;
    use burdock::http::request::{Request, Scheme};
    use burdock::route::RouteIndex;

    use super::super::state::fixture;
    use super::*;

    fn state(folder: &std::path::Path) -> Arc<State> {
        fixture::state(folder, "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2'], sticky: cookie}}")
    }

    /// A request that was sent to its server and whose hooks go no further.
    fn sent(state: &Arc<State>) -> Context {
        let mut context = Context::new(Arc::clone(state));
        let snapshot = state.snapshot.load();
        let lane = snapshot.lane(RouteIndex(0));
        context.record.upstream = Some(Arc::clone(&lane.meters));
        let (method, headers) = (::http::Method::GET, ::http::HeaderMap::new());
        let client = [192, 0, 2, 1].into();
        let (path, query, scheme) = ("/", None, Scheme::Http);
        let request = Request { method: &method, host: "a", path, query, headers: &headers, client, scheme };
        let now = context.record.started.now();
        let mut exchange = lane.pool.receive(&request, now);
        let Assignment::Send { at, slot } = exchange.pick(None, now, &mut rand::rng()) else { panic!("refused") };
        context.balancing(Arc::clone(lane), exchange);
        context.sent(at, slot, None, now);
        context
    }

    #[test]
    fn a_settled_request_lets_its_snapshot_go() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let mut context = sent(&state);
        let lane = Arc::downgrade(&state.snapshot.load().lanes()[0]);
        let now = context.record.started.now();
        context.settle(&ResponseHeader::build(101, None).unwrap(), now).unwrap();
        let next = self::state(folder.path());
        state.publish(next.snapshot.load_full());
        assert!(lane.upgrade().is_none(), "an upgraded stream may last for days");
    }

    #[test]
    fn a_request_that_panics_in_a_hook_is_counted_and_logged_and_gives_its_place_back() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let in_flight = || state.snapshot.load().lanes()[0].pool.upstream().servers()[0].in_flight();
        let context = sent(&state);
        assert_eq!(in_flight(), 1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _context = context;
            panic!("in a hook");
        }));
        assert!(panicked.is_err());
        assert_eq!(in_flight(), 0);
        state.access_log.flush();
        let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
        assert!(log.contains(" upstream=shop server=127.0.0.1:2 reason=new "), "{log}");
        let metrics = state.metrics.render(0, state.clock.moment().now(), std::iter::empty()).unwrap();
        assert!(metrics.contains(r#"burdock_decisions_total{method="none",reason="new",upstream="shop"} 1"#), "{metrics}");
    }
}
