//! Applies the core's edits to Pingora's headers.

use ::http::header::{CACHE_CONTROL, CONNECTION, COOKIE, SET_COOKIE};
use burdock::balancer::exchange::Settlement;
use burdock::http::cookie::Forwarded;
use burdock::http::forwarded::{Hop, outgoing};
use burdock::http::hygiene::{self, RequestHops};
use burdock::http::request::{Response, Scheme};
use burdock::sticky::edits::{RequestEdits, ResponseEdits};
use bytes::Bytes;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

use super::state::ServingState;
use crate::client::client_stream::About;

/// Edits the request for the server: removes what carries the tie, and adds headers about it.
pub fn request(request: &mut RequestHeader, edits: RequestEdits) -> Result<()> {
    match edits.cookie {
        Forwarded::AsIs => {}
        Forwarded::Nothing => {
            request.remove_header(&COOKIE);
        }
        Forwarded::Replaced(value) => request.insert_header(COOKIE, value)?,
    }
    for name in &edits.remove {
        request.remove_header(name);
    }
    edits.set.into_iter().try_for_each(|(name, value)| request.insert_header(name, value))
}

/// Removes the Connection header of a request without other hop-by-hop headers; from other requests Pingora removes them all.
pub fn connection(request: &mut RequestHeader, hops: RequestHops) {
    if hops == RequestHops::Connection {
        request.remove_header(&CONNECTION);
    }
}

/// Sets the headers that name the client to the server.
pub fn forwarded(request: &mut RequestHeader, about: &About, state: &ServingState) -> Result<()> {
    let listener = &state.listeners[about.listener];
    let hop = Hop { peer: &about.peer, scheme: Scheme::Http, headers: &request.headers };
    let edits = outgoing(&hop, &listener.trusted_proxies, listener.forwarded);
    for name in &edits.remove {
        request.remove_header(name);
    }
    for (name, value) in edits.set {
        request.insert_header(name, value)?;
    }
    Ok(())
}

/// Removes the response's hop-by-hop headers.
pub fn hop_by_hop(response: &mut ResponseHeader) {
    let facts = Response { status: response.status, headers: &response.headers };
    for name in hygiene::hop_by_hop(&facts) {
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
pub fn settle(response: &mut ResponseHeader, settlement: Settlement) -> Result<()> {
    self::response(response, settlement.edits)?;
    if let Some(value) = settlement.cache_control {
        response.insert_header(CACHE_CONTROL, value)?;
    }
    Ok(())
}

/// Edits the response for the client.
pub fn response(response: &mut ResponseHeader, edits: ResponseEdits) -> Result<()> {
    if let Some(kept) = edits.server_cookies {
        response.remove_header(&SET_COOKIE);
        for value in kept {
            response.append_header(SET_COOKIE, value)?;
        }
    }
    for cookie in edits.cookies {
        response.append_header(SET_COOKIE, cookie)?;
    }
    for name in &edits.remove {
        response.remove_header(name);
    }
    for (name, value) in edits.set {
        response.insert_header(name, value)?;
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
