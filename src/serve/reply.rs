//! Burdock's own responses: their statuses and texts.

use burdock::balancer::exchange::Refusal;
use burdock::balancer::reason::Reason;
use bytes::Bytes;
use pingora::ErrorType::{ConnectionClosed, HTTPStatus, ReadTimedout};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorSource};
use pingora_proxy::Session;

use crate::client::client_stream::{Broken, ClientStream};

/// Seconds after which a refused client may retry.
const RETRY_AFTER: &str = "2";

/// An error that carries the status of Burdock's own response to [`send`].
pub fn status(code: u16, why: &'static str) -> Box<Error> {
    Error::explain(HTTPStatus(code), why).into_down()
}

/// The error for a request that the balancer refuses.
pub fn refusal(refusal: Refusal) -> Box<Error> {
    status(
        refusal.status.as_u16(),
        match refusal.reason {
            Reason::NoServer => "no server is available",
            Reason::Refused
            | Reason::Redispatched
            | Reason::Lost(_)
            | Reason::Bad(_)
            | Reason::Panic
            | Reason::Hit
            | Reason::New => "the session's server cannot serve it",
        },
    )
}

/// The error for a client that has disconnected.
pub fn client_left() -> Box<Error> {
    Error::explain(ConnectionClosed, "the client disconnected").into_down()
}

/// The status for an error that ended this request; none if the client is gone. What the client itself broke is told apart from
/// what a server did: a server cannot answer before it has the body.
pub fn code_in(session: &mut Session, error: &Error) -> Option<u16> {
    match ClientStream::of(session).and_then(ClientStream::broken) {
        Some(Broken::Malformed(fault)) => Some(fault.status()),
        Some(Broken::TooSlow) => Some(408),
        None if *error.etype() == ReadTimedout && !session.as_downstream_mut().is_body_done() => Some(408),
        None => code(error),
    }
}

/// The status for an error that ended a request; none if the client is gone.
pub fn code(error: &Error) -> Option<u16> {
    use pingora::ErrorType::{ConnectTimedout, ReadError, WriteError, WriteTimedout};
    match (error.etype(), error.esource()) {
        (HTTPStatus(code), _) => Some(*code),
        (ReadTimedout | WriteTimedout | ConnectTimedout, ErrorSource::Upstream) => Some(504),
        (ReadError, ErrorSource::Upstream) if is_timeout(error) => Some(504),
        (_, ErrorSource::Upstream) => Some(502),
        (WriteError | ReadError | ConnectionClosed, ErrorSource::Downstream) => None,
        (ReadTimedout, ErrorSource::Downstream) => Some(408),
        (_, ErrorSource::Downstream) => Some(400),
        (_, ErrorSource::Internal | ErrorSource::Unset) => Some(500),
    }
}

/// Whether a connection to a server itself gave up waiting.
pub fn is_timeout(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}

/// Whether Burdock's own response has a Retry-After header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetryAfter {
    Send,
    Omit,
}

/// Whether the client has no final response yet, so that Burdock can send its own.
pub fn is_open(session: &Session) -> bool {
    let interim =
        |status: ::http::StatusCode| status.is_informational() && status != ::http::StatusCode::SWITCHING_PROTOCOLS;
    session.response_written().is_none_or(|response| interim(response.status))
}

/// Sends a short response and closes the connection, as the request may not have been read completely.
pub async fn send(session: &mut Session, code: u16, retry_after: RetryAfter) -> pingora::Result<()> {
    let body = Bytes::from(format!("{code} {}\n", phrase(code)));
    let mut header = ResponseHeader::build(code, Some(5))?;
    header.insert_header("Content-Type", "text/plain; charset=utf-8")?;
    header.insert_header("Content-Length", body.len().to_string())?;
    header.insert_header("Cache-Control", "no-store")?;
    if retry_after == RetryAfter::Send {
        header.insert_header("Retry-After", RETRY_AFTER)?;
    }
    session.set_keepalive(None);
    let silent = session.req_header().method == ::http::Method::HEAD;
    session.write_response_header(Box::new(header), silent).await?;
    if !silent {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

fn phrase(code: u16) -> &'static str {
    ::http::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason()).unwrap_or("error")
}
