//! Answers that Burdock gives itself: the one place that knows their statuses and texts.

use burdock::balancer::exchange::Refusal;
use burdock::balancer::reason::Reason;
use bytes::Bytes;
use pingora::ErrorType::{ConnectionClosed, HTTPStatus};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorSource};
use pingora_proxy::Session;

/// Seconds after which a refused client may try again.
const RETRY_AFTER: &str = "2";

/// The error that carries a status of ours to [`send`].
pub fn status(code: u16, why: &'static str) -> Box<Error> {
    Error::explain(HTTPStatus(code), why).into_down()
}

/// The error for a request that the balancer refuses.
pub fn refusal(refusal: Refusal) -> Box<Error> {
    status(
        refusal.status.as_u16(),
        match refusal.reason {
            Reason::NoServer => "no server may take it",
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

/// The error for a client that has gone away.
pub fn client_left() -> Box<Error> {
    Error::explain(ConnectionClosed, "the client has not waited").into_down()
}

/// The status for an error that ended a request; none where the client is gone.
pub fn code(error: &Error) -> Option<u16> {
    use pingora::ErrorType::{ConnectTimedout, ReadError, ReadTimedout, WriteError, WriteTimedout};
    match (error.etype(), error.esource()) {
        (HTTPStatus(code), _) => Some(*code),
        (ReadTimedout | WriteTimedout | ConnectTimedout, ErrorSource::Upstream) => Some(504),
        (_, ErrorSource::Upstream) => Some(502),
        (WriteError | ReadError | ConnectionClosed, ErrorSource::Downstream) => None,
        (ReadTimedout, ErrorSource::Downstream) => Some(408),
        (_, ErrorSource::Downstream) => Some(400),
        (_, ErrorSource::Internal | ErrorSource::Unset) => Some(500),
    }
}

/// Whether an answer of ours should tell the client when to come again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetryAfter {
    Said,
    Unsaid,
}

/// Whether the client has no final response yet, so that one of ours can still be sent.
pub fn is_open(session: &Session) -> bool {
    let interim =
        |status: ::http::StatusCode| status.is_informational() && status != ::http::StatusCode::SWITCHING_PROTOCOLS;
    session.response_written().is_none_or(|response| interim(response.status))
}

/// Sends a short answer of our own and closes the connection, since the request may not have been read to its end.
pub async fn send(session: &mut Session, code: u16, retry_after: RetryAfter) -> pingora::Result<()> {
    let body = Bytes::from(format!("{code} {}\n", phrase(code)));
    let mut header = ResponseHeader::build(code, Some(5))?;
    header.insert_header("Content-Type", "text/plain; charset=utf-8")?;
    header.insert_header("Content-Length", body.len().to_string())?;
    header.insert_header("Cache-Control", "no-store")?;
    if retry_after == RetryAfter::Said {
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
