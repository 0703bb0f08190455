//! Burdock's own responses: their statuses and texts.

use ::http::Method;
use burdock::balancer::exchange::Refusal;
use burdock::balancer::reason::Reason;
use pingora::ErrorType::{ConnectionClosed, HTTPStatus, ReadTimedout};
use pingora::protocols::http::date::get_cached_date;
use pingora::{Error, ErrorSource};

/// Seconds after which a refused client may retry.
pub const RETRY_AFTER: &str = "2";

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

impl RetryAfter {
    pub fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Send => Some(("Retry-After", RETRY_AFTER)),
            Self::Omit => None,
        }
    }
}

/// A whole response of Burdock's own, with one more header, after which the connection ends: the request may not have been read
/// completely.
pub fn bytes(code: u16, header: Option<(&str, &str)>, method: &Method) -> Vec<u8> {
    let phrase = phrase(code);
    let mut response = format!("HTTP/1.1 {code} {phrase}\r\n");
    if let Some((name, value)) = header {
        response.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = body(code);
    if !body.is_empty() {
        let length = body.len();
        response.push_str(&format!("Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n"));
        response.push_str("Cache-Control: no-store\r\n");
    }
    if let Ok(date) = get_cached_date().to_str() {
        response.push_str(&format!("Date: {date}\r\n"));
    }
    response.push_str("Connection: close\r\n\r\n");
    if *method != Method::HEAD {
        response.push_str(&body);
    }
    response.into_bytes()
}

/// The body of Burdock's own response: none for 204.
pub fn body(code: u16) -> String {
    if code == 204 { String::new() } else { format!("{code} {}\n", phrase(code)) }
}

/// The usual text of a status.
pub fn phrase(code: u16) -> &'static str {
    ::http::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason()).unwrap_or("error")
}
