//! Pingora's hooks: each translates, calls a step of `serve`, and applies the result. Nothing is decided here.

use std::sync::Arc;

use ::http::Version;
use async_trait::async_trait;
use burdock::http::hop_by_hop::RequestHops;
use burdock::http::size::header_bytes;
use burdock::upstream::retry::{Failure, ShouldRetry};
use bytes::Bytes;
use pingora::ErrorType::InvalidHTTPHeader;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::{Error, ErrorSource, ErrorType, Result, RetryType};

use super::headers::{OfRequest, OfResponse};
use super::session::{self, progress, request_of, response_of};
use crate::client::client_stream::ClientStream;
use crate::serve::confirm;
use crate::serve::context::Context;
use crate::serve::edit;
use crate::serve::failure::{self, Next};
use crate::serve::message::{After, Wants};
use crate::serve::place;
use crate::serve::receive;
use crate::serve::reply;
use crate::serve::state::ServingState;

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
        receive::record(&request_of(session.req_header()), ClientStream::of(session), context, &self.state);
        session::configure(session, &self.state);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Box<Context>) -> Result<bool> {
        let request = session.req_header();
        let size = header_bytes(&request.method, &request.uri, &request.headers);
        receive::receive(&request_of(request), size, ClientStream::of(session), context, &self.state)?;
        Ok(false)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Box<Context>) -> Result<Box<HttpPeer>> {
        let at = place::place(ClientStream::of(session), context, &self.state).await?;
        let (client, headers, wants) = (ClientStream::of(session), &session.req_header().headers, session::wants(session));
        let mut peer = Box::new(place::peer(headers, wants, client, context, at, &self.state)?);
        if context.hops != RequestHops::Something || wants == Wants::Upgrade && edit::is_other_protocol(headers) {
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
        error.as_up();
        match failure::connecting(&error, &session.req_header().method, context, &self.state) {
            Next::Again => error.set_retry(true),
            Next::Failed => error.set_retry(false),
            Next::Refused(instead) => {
                error = instead;
                error.set_retry(false);
            }
        }
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
        let (method, progress) = (&session.req_header().method, progress(session));
        let next = failure::exchanging(&error, failure, method, progress, context, &self.state);
        error.set_retry(matches!(next, Next::Again));
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Box<Context>,
    ) -> Result<()> {
        let edits =
            edit::request(&request.headers, session::wants(session), ClientStream::of(session), context, &self.state);
        edits.apply(&mut OfRequest(request))
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Box<Context>,
    ) -> Result<()> {
        session::last_piece(body, end);
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
            let edits = context.interim_edits(&response.headers, now);
            return edits.map_or(Ok(()), |edits| edits.apply(&mut OfResponse(response)));
        }
        let method = &session.req_header().method;
        if context.retries_answer(response.status, method, progress(session), &self.state) == ShouldRetry::Yes {
            return Err(Error::new_up(RETRIED_ANSWER));
        }
        self.frame(session, response)?;
        let now = self.state.clock.moment_after(context.record.started).now();
        let Some(settlement) = context.settle(&response_of(response), now, &self.state) else { return Ok(()) };
        confirm::wait(context.take_confirmations()).await;
        edit::settlement(settlement).apply(&mut OfResponse(response))
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Box<Context>) -> FailToProxy {
        let code = session::code_in(session, error);
        if let Some(code) = code
            && session::is_open(session)
        {
            // Ignored: the client may be gone.
            let _ = session::send(session, code, context.retry_after()).await;
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
        context.finish(session::ended(session), now);
        if let Some(stream) = ClientStream::of(session) {
            stream.request_over(now.uptime);
        }
    }
}

impl Gateway {
    /// Makes a final response one that can be read in one way only, and notes what it means for the client's connection.
    fn frame(&self, session: &mut Session, response: &mut ResponseHeader) -> Result<()> {
        let (edits, mut after) = edit::response(&response_of(response), session::wants(session), session::version(session))
            .map_err(|fault| Error::explain(InvalidHTTPHeader, fault.to_string()).into_up())?;
        edits.apply(&mut OfResponse(response))?;
        response.set_version(Version::HTTP_11);
        if let Some(client) = ClientStream::of(session) {
            receive::remember_requested_login(client, &response_of(response));
            if receive::after(client, response.status, &self.state) == After::Closed {
                after = After::Closed;
            }
        }
        if after == After::Closed {
            session.set_keepalive(None);
        }
        Ok(())
    }
}

/// Whether a server got the whole request and did not respond, or stopped reading it.
fn is_silence(error: &Error, session: &mut Session) -> bool {
    let kind = error.etype();
    *kind == ErrorType::WriteTimedout || *kind == ErrorType::ReadTimedout && session.as_downstream_mut().is_body_done()
}
