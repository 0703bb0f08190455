//! Pingora's session as the steps see it, and what only Pingora's session can do.

use ::http::Version;
use ::http::header::HOST;
use burdock::upstream::retry::Progress;
use bytes::Bytes;
use pingora::Error;
use pingora::ErrorType::ReadTimedout;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use crate::client::client_stream::{Broken, ClientStream};
use crate::serve::message::{Ended, RequestHead, ResponseHead, Wants};
use crate::serve::reply::{self, RETRY_AFTER, RetryAfter};
use crate::serve::state::ServingState;

pub fn request_of(request: &RequestHeader) -> RequestHead<'_> {
    let uri = &request.uri;
    RequestHead {
        method: &request.method,
        host: host(request),
        path: uri.path(),
        query: uri.query(),
        headers: &request.headers,
    }
}

pub fn response_of(response: &ResponseHeader) -> ResponseHead<'_> {
    ResponseHead { status: response.status, version: response.version, headers: &response.headers }
}

/// The requested host: the Host header, or the authority of an absolute target.
fn host(request: &RequestHeader) -> &str {
    let header = request.headers.get(HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri.authority().map(|authority| authority.as_str())).unwrap_or_default()
}

pub fn wants(session: &Session) -> Wants {
    if session.is_upgrade_req() { Wants::Upgrade } else { Wants::Response }
}

pub fn version(session: &Session) -> Version {
    session.req_header().version
}

pub fn ended(session: &Session) -> Ended {
    Ended {
        status: session.response_written().map(|response| response.status),
        bytes_in: session.as_ref().body_bytes_read() as u64,
        bytes_out: session.as_ref().body_bytes_sent() as u64,
    }
}

/// Configures the connection. [`ClientStream`] enforces the keep-alive timeout, so Pingora gets none, unless the client wants to
/// close or the process is shutting down.
pub fn configure(session: &mut Session, state: &ServingState) {
    const NO_TIMEOUT: Option<u64> = Some(0);
    if session.get_keepalive().is_some() {
        session.set_keepalive(if state.readiness.is_leaving() { None } else { NO_TIMEOUT });
    }
    session.as_downstream_mut().set_pipelining_enabled(true);
}

/// How far a request has got: whether it can be sent again.
pub fn progress(session: &Session) -> Progress {
    let committed = session.response_written().is_some() || session.as_ref().retry_buffer_truncated();
    if committed { Progress::Committed } else { Progress::Replayable }
}

/// Drops an empty last chunk, as HTTP/2 clients send it: it would be written as a second end of a chunked body and corrupt the
/// next request on a reused connection.
pub fn last_piece(body: &mut Option<Bytes>, end: bool) {
    if end && body.as_ref().is_some_and(Bytes::is_empty) {
        *body = None;
    }
}

/// The status for an error that ended this request; none if the client is gone. What the client itself broke is told apart from
/// what a server did: a server cannot answer before it has the body.
pub fn code_in(session: &mut Session, error: &Error) -> Option<u16> {
    match ClientStream::of(session).and_then(ClientStream::broken) {
        Some(Broken::Malformed(fault)) => Some(fault.status()),
        Some(Broken::TooSlow) => Some(408),
        None if *error.etype() == ReadTimedout && !session.as_downstream_mut().is_body_done() => Some(408),
        None => reply::code(error),
    }
}

/// Whether the client has no final response yet, so that Burdock can send its own.
pub fn is_open(session: &Session) -> bool {
    let interim =
        |status: ::http::StatusCode| status.is_informational() && status != ::http::StatusCode::SWITCHING_PROTOCOLS;
    session.response_written().is_none_or(|response| interim(response.status))
}

/// Sends a short response and closes the connection, as the request may not have been read completely.
pub async fn send(session: &mut Session, code: u16, retry_after: RetryAfter) -> pingora::Result<()> {
    let body = Bytes::from(reply::body(code));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_last_chunk_is_dropped() {
        let mut last = Some(Bytes::new());
        last_piece(&mut last, true);
        assert_eq!(last, None);
    }

    #[test]
    fn chunks_with_bytes_and_empty_middle_chunks_pass() {
        for (piece, end) in [(Bytes::from_static(b"x"), true), (Bytes::from_static(b"x"), false), (Bytes::new(), false)] {
            let mut body = Some(piece.clone());
            last_piece(&mut body, end);
            assert_eq!(body, Some(piece));
        }
    }
}
