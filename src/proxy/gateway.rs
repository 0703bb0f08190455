//! Pingora's hooks: each translates, calls a step of `serve`, and applies the result. Nothing is decided here.

use std::sync::Arc;

use async_trait::async_trait;
use burdock::http::edits::Edits;
use burdock::http::hop_by_hop::RequestHops;
use burdock::upstream::retry::{Failure, Progress, ShouldRetry};
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::{Error, ErrorSource, ErrorType, Result, RetryType};

use crate::client::client_stream::ClientStream;
use crate::serve::confirm;
use crate::serve::context::{Context, Phase, progress};
use crate::serve::edit;
use crate::serve::place;
use crate::serve::receive;
use crate::serve::reply;
use crate::serve::state::ServingState;
use crate::servers::shortage;

/// The error that drops a server's answer, so that the request goes to another server.
const RETRIED_ANSWER: ErrorType = ErrorType::Custom("the answer is retried");

/// The proxy application.
pub struct Gateway {
    state: Arc<ServingState>,
}

impl Gateway {
    pub fn new(state: Arc<ServingState>) -> Self {
        Self { state }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    /// Boxed, as Pingora moves it between boxed futures.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Box<Context> {
        Box::new(Context::new(Arc::clone(&self.state.record_sinks)))
    }

    /// No modules: the default one would check every response for compression.
    fn init_downstream_modules(&self, _modules: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut Box<Context>) -> Result<()> {
        receive::record(session, context, &self.state);
        receive::configure(session, &self.state);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Box<Context>) -> Result<bool> {
        receive::receive(session, context, &self.state)?;
        Ok(false)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Box<Context>) -> Result<Box<HttpPeer>> {
        let at = place::place(ClientStream::of(session), context, &self.state).await?;
        let mut peer = Box::new(place::peer(session, context, at, &self.state)?);
        if context.hops != RequestHops::Something || edit::is_other_upgrade(session) {
            peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        }
        Ok(peer)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        context: &mut Box<Context>,
    ) -> Result<()> {
        if !context.is_on_kept_connection(reused) {
            context.connected(self.state.clock.uptime());
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Box<Context>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(what) = shortage::of(&error) {
            self.state.short_of(what);
            context.failed(Failure::Shortage, session, Progress::Replayable, &self.state);
            context.short_of_resources();
            error = reply::status(503, "no connection to a server can be opened on this host");
            error.set_retry(false);
            return error;
        }
        error.as_up();
        context.attempt_failed(&error);
        let again = context.failed(Failure::Connect, session, Progress::Replayable, &self.state);
        error.set_retry(again == ShouldRetry::Yes);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        context: &mut Box<Context>,
        reused: bool,
    ) -> Box<Error> {
        if *error.etype() == RETRIED_ANSWER {
            error.set_retry(true);
            return error;
        }
        if *error.esource() != ErrorSource::Upstream {
            error.set_retry(false);
            return error;
        }
        let failure = match (error.retry, context.is_on_kept_connection(reused)) {
            _ if reply::is_timeout(&error) => Failure::Timeout,
            (RetryType::ReusedOnly, true) => Failure::Stale,
            (RetryType::ReusedOnly, false) => Failure::Closed,
            (RetryType::Decided(_), _) if is_silence(&error, session) => Failure::Timeout,
            (RetryType::Decided(_), _) => Failure::Other,
        };
        context.attempt_failed(&error);
        let again = context.failed(failure, session, progress(session), &self.state);
        error.set_retry(again == ShouldRetry::Yes);
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        edit::connection(request, context.hops);
        if edit::is_other_upgrade(session) {
            edit::upgrade(request)?;
        }
        let mut edits = Edits::default();
        edit::host(request, || context.server_address(), &mut edits);
        if let Some(stream) = ClientStream::of(session) {
            edit::forwarded(request, stream.about(), &self.state, &mut edits);
        }
        if let Phase::Balancing(balancing) = &context.phase {
            balancing.exchange.edit_request(&request.headers, context.record.started.now(), &mut edits);
        }
        edits.apply(&mut edit::OfRequest(request))
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Box<Context>,
    ) -> Result<()> {
        edit::last_piece(body, end);
        context.body_piece(body.as_ref().map_or(0, Bytes::len))
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        if response.status.is_informational() && response.status != ::http::StatusCode::SWITCHING_PROTOCOLS {
            let now = self.state.clock.moment_after(context.record.started).now();
            let edits = context.interim_edits(response, now);
            return edits.map_or(Ok(()), |edits| edits.apply(&mut edit::OfResponse(response)));
        }
        if context.retries_answer(response.status, session, &self.state) == ShouldRetry::Yes {
            return Err(Error::new_up(RETRIED_ANSWER));
        }
        edit::framing(session, response)?;
        edit::hop_by_hop(response);
        receive::remember_requested_login(session, response);
        receive::end_connection_if_leaving(session, response, &self.state);
        let now = self.state.clock.moment_after(context.record.started).now();
        let Some(settlement) = context.settle(response, now, &self.state) else { return Ok(()) };
        confirm::wait(context.take_confirmations()).await;
        edit::settle(response, settlement)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Box<Context>) -> FailToProxy {
        let code = reply::code_in(session, error);
        if let Some(code) = code
            && reply::is_open(session)
        {
            // Ignored: the client may be gone.
            let _ = reply::send(session, code, context.retry_after()).await;
        }
        context.ended_by(code);
        FailToProxy { error_code: code.unwrap_or(0), can_reuse_downstream: false }
    }

    /// The access log has the error.
    fn suppress_error_log(&self, _session: &Session, _context: &Box<Context>, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _context: &Box<Context>,
        _error: &Error,
        _why: pingora::proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Box<Context>) {
        let now = self.state.clock.moment_after(context.record.started);
        if error.is_none() {
            context.completed(now.now());
        }
        context.finish(session, now);
        if let Some(stream) = ClientStream::of(session) {
            stream.request_over(now.uptime);
        }
    }
}

/// Whether a server got the whole request and did not respond, or stopped reading it.
fn is_silence(error: &Error, session: &mut Session) -> bool {
    let kind = error.etype();
    *kind == ErrorType::WriteTimedout || *kind == ErrorType::ReadTimedout && session.as_downstream_mut().is_body_done()
}
