//! The first steps of a request, from its header block to an exchange: recorded, checked, routed, claims read.

use std::sync::Arc;

use ::http::{HeaderMap, StatusCode};
use burdock::http::connection_login;
use burdock::http::forwarded::is_looping;
use burdock::http::hop_by_hop::request_hops;
use burdock::http::request::{Request, Response, Scheme};
use burdock::upstream::spec::Limits;
use pingora::Result;

use super::context::Context;
use super::message::{After, RequestHead, ResponseHead};
use super::reply;
use super::state::ServingState;
use crate::client::client_stream::{About, ClientStream};
use crate::telemetry::request_record::RequestLine;

/// Records the request for the access log, before it can fail.
pub fn record(request: &RequestHead<'_>, client: Option<&ClientStream>, context: &mut Context, state: &ServingState) {
    context.hops = request_hops(request.headers);
    context.record.request = RequestLine::new(request.method.clone(), request.host, request.path);
    context.record.client = client.map(|client| {
        let about = client.about();
        state.listeners[about.listener].forwarding().client_address(about.peer.address(), request.headers)
    });
}

/// Finds the route and reads the claims. `size` is that of the header block, in bytes.
pub fn receive(
    request: &RequestHead<'_>,
    size: usize,
    client: Option<&ClientStream>,
    context: &mut Context,
    state: &ServingState,
) -> Result<()> {
    let generation = state.generation.load();
    let &RequestHead { method, host, path, query, headers } = request;
    let Some(route) = generation.balancer.route(host, path) else {
        return Err(reply::status(404, "no route"));
    };
    let upstream = generation.upstream_of(route);
    context.record.route = Some(Arc::clone(generation.route_meters(route)));
    context.record.upstream = Some(Arc::clone(&upstream.meters));
    check_limits(headers, size, &upstream.sticky.upstream().spec().limits)?;
    if is_looping(headers) {
        state.went_round(upstream.sticky.upstream());
        return Err(reply::status(508, "the request has passed too many Burdocks"));
    }
    let facts = Request {
        method,
        host,
        path,
        query,
        headers,
        client: context.record.client.unwrap_or_else(|| std::net::Ipv4Addr::UNSPECIFIED.into()),
        scheme: client_scheme(client, headers, state),
    };
    let exchange = upstream.sticky.receive(&facts, context.record.started.now());
    if exchange.is_relayed()
        && let Some(about) = client.map(ClientStream::about)
    {
        state.untrusted_proxies.relayed(about, &state.listeners[about.listener]);
    }
    context.balancing(Arc::clone(upstream), exchange);
    Ok(())
}

/// Whether a connection carries one client's requests, so that requests without a session belong together. A trusted proxy's
/// connection carries many clients.
pub fn is_one_client(about: &About, state: &ServingState) -> bool {
    !state.listeners[about.listener].trusted_proxies.trusts(about.peer.address())
}

/// Whether this or an earlier request on the connection has a login that belongs to the connection.
pub fn has_login(client: &ClientStream, headers: &HeaderMap) -> bool {
    if !client.has_login() && connection_login::is_carried(headers) {
        client.remember_login();
    }
    client.has_login()
}

/// Remembers that a response asks for a login that belongs to the connection: the next request will have it.
pub fn remember_requested_login(client: &ClientStream, response: &ResponseHead<'_>) {
    let facts = Response { status: response.status, headers: response.headers };
    if connection_login::is_asked_for(&facts) {
        client.remember_login();
    }
}

fn check_limits(headers: &HeaderMap, size: usize, limits: &Limits) -> Result<()> {
    if size > limits.header_bytes {
        return Err(reply::status(431, "the header block is over the limit"));
    }
    let length = headers.get(::http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match (limits.body, length) {
        (Some(limit), Some(length)) if length > limit => Err(reply::status(413, "the body is over the limit")),
        (Some(_) | None, _) => Ok(()),
    }
}

fn client_scheme(client: Option<&ClientStream>, headers: &HeaderMap, state: &ServingState) -> Scheme {
    client.map_or(Scheme::Http, |client| {
        let about = client.about();
        state.listeners[about.listener].forwarding().scheme(about.peer.address(), Scheme::Http, headers)
    })
}

/// What becomes of the connection after this response: it ends if the process is shutting down. A tunnel takes no more requests
/// either.
pub fn after(client: &ClientStream, status: StatusCode, state: &ServingState) -> After {
    let upgraded = status == StatusCode::SWITCHING_PROTOCOLS;
    if upgraded {
        client.upgraded();
    }
    let leaving = state.readiness.is_leaving();
    if leaving || upgraded {
        client.takes_no_more();
    }
    if leaving { After::Closed } else { After::Kept }
}
