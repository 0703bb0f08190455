//! Applies the core's edits to Pingora's headers.

use ::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING, UPGRADE};
use ::http::{HeaderName, HeaderValue, Version};
use burdock::balancer::exchange::Settlement;
use burdock::http::edits::{EditHeaders, Edits, Spelling};
use burdock::http::forwarded::{Hop, outgoing};
use burdock::http::h1::response_head::{self, Asked, Mend};
use burdock::http::hop_by_hop::{self, RequestHops};
use burdock::http::request::{Response, Scheme};
use bytes::Bytes;
use pingora::ErrorType::InvalidHTTPHeader;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, Result};

use pingora_proxy::Session;

use super::state::ServingState;
use crate::client::client_stream::About;

/// Removes the Connection header of a request without other hop-by-hop headers; from other requests Pingora removes them all.
pub fn connection(request: &mut RequestHeader, hops: RequestHops) {
    if hops == RequestHops::Connection {
        request.remove_header(&CONNECTION);
    }
}

/// Whether a request asks for a protocol that its listener passes on and Pingora does not know.
pub fn is_other_upgrade(session: &Session) -> bool {
    let protocol = || session.req_header().headers.get(UPGRADE);
    session.is_upgrade_req() && protocol().is_some_and(|name| !name.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Removes the hop-by-hop headers of a request to change to a protocol that Pingora does not know, and asks for that protocol.
///
/// # Errors
/// None in practice: the header's name and value are valid.
pub fn upgrade(request: &mut RequestHeader) -> Result<()> {
    for name in ["keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"] {
        request.remove_header(name);
    }
    request.insert_header(CONNECTION, "upgrade")
}

/// Names the server to itself if a client of HTTP/1.0 named no host, as every request of HTTP/1.1 has one.
pub fn host(request: &RequestHeader, server: impl FnOnce() -> Option<HeaderValue>, edits: &mut Edits) {
    if !request.headers.contains_key(HOST)
        && let Some(server) = server()
    {
        edits.set_as_written("Host", server);
    }
}

/// Sets the headers that name the client to the server.
pub fn forwarded(request: &RequestHeader, about: &About, state: &ServingState, edits: &mut Edits) {
    let listener = &state.listeners[about.listener];
    let hop = Hop { peer: &about.peer, scheme: Scheme::Http, headers: &request.headers };
    outgoing(&hop, listener.forwarding(), edits);
}

/// Gives a final response one length, the client's version, and no trailers that would not come.
///
/// # Errors
/// A response that two readers would read differently; it is the server's fault.
pub fn framing(session: &mut Session, response: &mut ResponseHeader) -> Result<()> {
    let asked = if session.is_upgrade_req() { Asked::Upgrade } else { Asked::Response };
    let mend = response_head::judge(response.status, response.version, &response.headers, asked)
        .map_err(|fault| Error::explain(InvalidHTTPHeader, fault.to_string()).into_up())?;
    match mend {
        Mend::Nothing => {}
        Mend::RemoveLengths => {
            response.remove_header(&CONTENT_LENGTH);
            response.remove_header(&TRANSFER_ENCODING);
        }
        Mend::Length(length) => response.insert_header(CONTENT_LENGTH, length.to_string())?,
    }
    response.remove_header(&TRAILER);
    response.set_version(Version::HTTP_11);
    if session.req_header().version == Version::HTTP_10 && response.headers.contains_key(TRANSFER_ENCODING) {
        // The client knows no chunks: the end of the connection ends the body (RFC 9112 6.3).
        response.remove_header(&TRANSFER_ENCODING);
        session.set_keepalive(None);
    }
    Ok(())
}

/// Removes the response's hop-by-hop headers.
pub fn hop_by_hop(response: &mut ResponseHeader) {
    let facts = Response { status: response.status, headers: &response.headers };
    for name in hop_by_hop::hop_by_hop(&facts) {
        response.remove_header(&name);
    }
}

/// Drops an empty last chunk, as HTTP/2 clients send it: it would be written as a second end of a chunked body and corrupt the
/// next request on a reused connection.
pub fn last_piece(body: &mut Option<Bytes>, end: bool) {
    if end && body.as_ref().is_some_and(Bytes::is_empty) {
        *body = None;
    }
}

/// Applies a settlement.
pub fn settle(response: &mut ResponseHeader, mut settlement: Settlement) -> Result<()> {
    if let Some(value) = settlement.cache_control {
        settlement.edits.set(CACHE_CONTROL, value);
    }
    settlement.edits.apply(&mut OfResponse(response))
}

/// A request's headers of Pingora's.
pub struct OfRequest<'h>(pub &'h mut RequestHeader);

/// A response's headers of Pingora's.
pub struct OfResponse<'h>(pub &'h mut ResponseHeader);

macro_rules! edits_pingoras {
    ($headers:ident) => {
        impl EditHeaders for $headers<'_> {
            type Error = Box<pingora::Error>;

            fn remove(&mut self, name: &HeaderName) {
                self.0.remove_header(name);
            }

            fn set(&mut self, name: Spelling, value: HeaderValue) -> Result<()> {
                match name {
                    Spelling::Usual(name) => {
                        let spelling = spelling(self.0.case_header_iter().map(|(spelling, _)| spelling.as_slice()), &name);
                        self.0.insert_header(spelling, value)
                    }
                    Spelling::AsWritten(name) => self.0.insert_header(name, value),
                }
            }

            fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
                let spelling = spelling(self.0.case_header_iter().map(|(spelling, _)| spelling.as_slice()), &name);
                self.0.append_header(spelling, value).map(drop)
            }
        }
    };
}

edits_pingoras!(OfRequest);
edits_pingoras!(OfResponse);

/// How a name is written: as the message has it already, or in its usual form, with a capital at each word.
fn spelling<'h>(mut written: impl Iterator<Item = &'h [u8]>, name: &HeaderName) -> Bytes {
    let name = name.as_str().as_bytes();
    match written.find(|spelling| spelling.eq_ignore_ascii_case(name)) {
        Some(spelling) => Bytes::copy_from_slice(spelling),
        None => Bytes::from(in_usual_form(name)),
    }
}

fn in_usual_form(name: &[u8]) -> Vec<u8> {
    let mut before = b'-';
    let capital = |&byte: &u8| if std::mem::replace(&mut before, byte) == b'-' { byte.to_ascii_uppercase() } else { byte };
    name.iter().map(capital).collect()
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
