//! Applies the core's edits to Pingora's headers.

use ::http::header::{CACHE_CONTROL, CONNECTION};
use ::http::{HeaderName, HeaderValue};
use burdock::balancer::exchange::Settlement;
use burdock::http::edits::{EditHeaders, Edits, Spelling};
use burdock::http::forwarded::{Hop, outgoing};
use burdock::http::hop_by_hop::{self, RequestHops};
use burdock::http::request::{Response, Scheme};
use bytes::Bytes;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

use super::state::ServingState;
use crate::client::client_stream::About;

/// Removes the Connection header of a request without other hop-by-hop headers; from other requests Pingora removes them all.
pub fn connection(request: &mut RequestHeader, hops: RequestHops) {
    if hops == RequestHops::Connection {
        request.remove_header(&CONNECTION);
    }
}

/// Sets the headers that name the client to the server.
pub fn forwarded(request: &RequestHeader, about: &About, state: &ServingState, edits: &mut Edits) {
    let listener = &state.listeners[about.listener];
    let hop = Hop { peer: &about.peer, scheme: Scheme::Http, headers: &request.headers };
    outgoing(&hop, &listener.trusted_proxies, listener.forwarded, edits);
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
                    Spelling::Usual(name) => self.0.insert_header(name, value),
                    Spelling::AsWritten(name) => self.0.insert_header(name, value),
                }
            }

            fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
                self.0.append_header(name, value).map(drop)
            }
        }
    };
}
edits_pingoras!(OfRequest);
edits_pingoras!(OfResponse);

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
