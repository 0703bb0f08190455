//! Answers to requests that no engine gets: malformed ones, and those for this hop alone. Each is recorded, sent, and ends its
//! connection.

use std::time::Duration;

use ::http::{Method, StatusCode};
use burdock::http::h1::request_head::RequestHead;
use burdock::http::h1::upgrade::AllowedUpgrades;
use tokio::io::AsyncWriteExt;

use crate::client::client_stream::ClientStream;
use crate::serve::reply;
use crate::serve::state::ServingState;
use crate::telemetry::request_record::{RequestLine, RequestRecord};

/// How long, and how much of, what a refused client still sends is read, so that the answer is not lost to a reset.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 256 * 1024;

/// The methods that an application may have.
const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Whether a client may still be sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unread {
    Possible,
    None,
}

/// An answer without a server.
#[derive(Debug)]
pub struct OwnResponse {
    status: StatusCode,
    line: RequestLine,
    allow: Option<&'static str>,
    unread: Unread,
}

impl OwnResponse {
    /// The answer to what cannot be read or did not come in time. `received` is what there is of it.
    pub fn refusal(received: &[u8], status: u16, unread: Unread) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Self { status, line: line_of(received), allow: None, unread }
    }

    /// The answer to `OPTIONS *`, and to TRACE and OPTIONS whose Max-Forwards ends here. A TRACE is not echoed: it would show
    /// scripts what they must not read.
    pub fn of_this_hop(head: &[u8]) -> Self {
        let line = line_of(head);
        let status = if line.method == Method::TRACE { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NO_CONTENT };
        Self { status, line, allow: Some(ALLOW), unread: Unread::Possible }
    }

    /// Records the request, sends the answer and ends the connection.
    pub async fn send(self, mut client: ClientStream, state: &ServingState) {
        let mut record = RequestRecord::new(state.record_sinks.clone());
        record.client = Some(client.about().peer.address());
        record.status = Some(self.status.as_u16());
        let allow = self.allow.map(|methods| ("Allow", methods));
        let bytes = reply::bytes(self.status.as_u16(), allow, &self.line.method);
        if self.line.method != Method::HEAD {
            record.bytes_out = reply::body(self.status.as_u16()).len() as u64;
        }
        record.request = self.line;
        // The client may be gone.
        if client.write_all(&bytes).await.is_ok() && client.flush().await.is_ok() {
            let _ = client.shutdown().await;
            if self.unread == Unread::Possible {
                let _ = tokio::time::timeout(LINGER, client.discard(LINGER_BYTES)).await;
            }
        }
        record.ended = Some(state.clock.moment_after(record.started));
    }
}

/// The method and the path for the log, as far as they can be read; `-` stands for a method that cannot.
fn line_of(received: &[u8]) -> RequestLine {
    let unknown = || Method::from_bytes(b"-").unwrap_or_default();
    if let Ok(head) = RequestHead::read(received, &AllowedUpgrades::default()) {
        let mut target = Vec::new();
        head.target.write(&mut target);
        let target = String::from_utf8_lossy(&target);
        let path = target.split('?').next().unwrap_or_default();
        return RequestLine::new(Method::from_bytes(head.method).unwrap_or_else(|_| unknown()), "", path);
    }
    let line = received.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let method = words.next().and_then(|method| Method::from_bytes(method).ok());
    let path = words.next().map(String::from_utf8_lossy).unwrap_or_default();
    match method {
        Some(method) if path.starts_with('/') => RequestLine::new(method, "", path.split('?').next().unwrap_or_default()),
        Some(_) | None => RequestLine::new(unknown(), "", ""),
    }
}
