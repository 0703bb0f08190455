//! Applies to Pingora's headers what the core says of them.

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

/// What the server sees of what carries the tie, and what it is told of it.
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

/// The Connection header of a request that has nothing else for this hop; of others Pingora takes everything out.
pub fn connection(request: &mut RequestHeader, hops: RequestHops) {
    if hops == RequestHops::Connection {
        request.remove_header(&CONNECTION);
    }
}

/// Who the client is, for the server.
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

/// Response headers that were meant for us and not for the client.
pub fn hop_by_hop(response: &mut ResponseHeader) {
    let facts = Response { status: response.status, headers: &response.headers };
    for name in hygiene::hop_by_hop(&facts) {
        response.remove_header(&name);
    }
}

/// An empty last piece, as HTTP/2 clients send it, would be written as a second end of a chunked body, and poison the kept
/// connection to the server for the next request.
pub fn last_piece(body: &mut Option<Bytes>, end: bool) {
    if end && body.as_ref().is_some_and(Bytes::is_empty) {
        *body = None;
    }
}

/// Applies what settling decided.
pub fn settle(response: &mut ResponseHeader, settlement: Settlement) -> Result<()> {
    self::response(response, settlement.edits)?;
    if let Some(value) = settlement.cache_control {
        response.insert_header(CACHE_CONTROL, value)?;
    }
    Ok(())
}

/// What the client sees of what carries the tie.
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
    fn an_empty_last_piece_of_a_body_is_no_piece() {
        let mut last = Some(Bytes::new());
        last_piece(&mut last, true);
        assert_eq!(last, None);
    }

    #[test]
    fn pieces_with_octets_and_pauses_pass() {
        for (piece, end) in [(Bytes::from_static(b"x"), true), (Bytes::from_static(b"x"), false), (Bytes::new(), false)] {
            let mut body = Some(piece.clone());
            last_piece(&mut body, end);
            assert_eq!(body, Some(piece));
        }
    }
}
