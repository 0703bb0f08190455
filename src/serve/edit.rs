//! What changes in the headers on their way through: the edits of each direction, in the order in which they are applied.

use ::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING, UPGRADE};
use ::http::{HeaderMap, HeaderName, HeaderValue, Version};
use burdock::balancer::exchange::Settlement;
use burdock::http::edits::Edits;
use burdock::http::forwarded::{Hop, outgoing};
use burdock::http::h1::response_head::{self, Asked, Mend, ResponseFault};
use burdock::http::hop_by_hop::{self, RequestHops};
use burdock::http::request::{Response, Scheme};

use super::context::Context;
use super::message::{After, ResponseHead, Wants};
use super::state::ServingState;
use crate::client::client_stream::ClientStream;

/// All edits of a request for its server.
pub fn request(
    headers: &HeaderMap,
    wants: Wants,
    client: Option<&ClientStream>,
    context: &Context,
    state: &ServingState,
) -> Edits {
    let mut edits = Edits::default();
    if context.hops == RequestHops::Connection {
        edits.remove(CONNECTION);
    }
    if wants == Wants::Upgrade && is_other_protocol(headers) {
        other_protocol(&mut edits);
    }
    if !headers.contains_key(HOST)
        && let Some(server) = context.server_address()
    {
        // Every request of HTTP/1.1 has a host. A client of HTTP/1.0 need not name one.
        edits.set_as_written("Host", server);
    }
    if let Some(client) = client {
        let about = client.about();
        let listener = &state.listeners[about.listener];
        let hop = Hop { peer: &about.peer, scheme: Scheme::Http, headers };
        outgoing(&hop, listener.forwarding(), &mut edits);
    }
    context.edit_request(headers, &mut edits);
    edits
}

/// Removes a request's hop-by-hop headers, for an engine that does not do so itself. Those that Connection names are gone already.
pub fn hops(headers: &HeaderMap) -> Edits {
    let mut edits = Edits::default();
    for name in hop_by_hop::OF_REQUESTS {
        if headers.contains_key(name) {
            edits.remove(HeaderName::from_static(name));
        }
    }
    edits
}

/// Whether a request asks for a protocol that its listener passes on and Pingora does not know.
pub fn is_other_protocol(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|name| !name.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn other_protocol(edits: &mut Edits) {
    for name in ["keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"] {
        edits.remove(HeaderName::from_static(name));
    }
    edits.set(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Gives a final response one length, takes away hop-by-hop headers and trailers that would not come. Says whether the client's
/// connection can go on: for a client of HTTP/1.0, which knows no chunks, its end may have to end the body (RFC 9112 6.3).
///
/// # Errors
/// A response that two readers would read differently; it is the server's fault.
pub fn response(response: &ResponseHead<'_>, wants: Wants, client: Version) -> Result<(Edits, After), ResponseFault> {
    let asked = match wants {
        Wants::Upgrade => Asked::Upgrade,
        Wants::Response => Asked::Response,
    };
    let mut edits = Edits::default();
    match response_head::judge(response.status, response.version, response.headers, asked)? {
        Mend::Nothing => {}
        Mend::RemoveLengths => {
            edits.remove(CONTENT_LENGTH);
            edits.remove(TRANSFER_ENCODING);
        }
        Mend::RemoveLength => edits.remove(CONTENT_LENGTH),
        Mend::Length(length) => edits.set(CONTENT_LENGTH, length.into()),
    }
    if response.headers.contains_key(TRAILER) {
        edits.remove(TRAILER);
    }
    for name in hop_by_hop::hop_by_hop(&Response { status: response.status, headers: response.headers }) {
        edits.remove(name);
    }
    if client == Version::HTTP_10 && response.headers.contains_key(TRANSFER_ENCODING) {
        edits.remove(TRANSFER_ENCODING);
        return Ok((edits, After::Closed));
    }
    Ok((edits, After::Kept))
}

/// The edits of a settlement.
pub fn settlement(mut settlement: Settlement) -> Edits {
    if let Some(value) = settlement.cache_control {
        settlement.edits.set(CACHE_CONTROL, value);
    }
    settlement.edits
}
