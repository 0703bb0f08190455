//! The first steps of a request, from its header block to an exchange: recorded, checked, routed, claims read.

use std::sync::Arc;

use ::http::header::HOST;
use ::http::{HeaderMap, StatusCode};
use burdock::http::connection_login;
use burdock::http::hop_by_hop::request_hops;
use burdock::http::request::{Request, Response, Scheme};
use burdock::http::size::header_bytes;
use burdock::upstream::spec::Limits;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::context::Context;
use super::reply;
use super::state::ServingState;
use crate::client::client_stream::{About, ClientStream};
use crate::telemetry::request_record::RequestLine;

/// Records the request for the access log, before it can fail.
pub fn record(session: &Session, context: &mut Context, state: &ServingState) {
    let request = session.req_header();
    context.hops = request_hops(&request.headers);
    context.record.request = RequestLine::new(request.method.clone(), host(request), request.uri.path());
    context.record.client = ClientStream::of(session).map(|stream| {
        let about = stream.about();
        state.listeners[about.listener].forwarding().client_address(about.peer.address(), &request.headers)
    });
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

/// Finds the route and reads the claims.
pub fn receive(session: &Session, context: &mut Context, state: &ServingState) -> Result<()> {
    let request = session.req_header();
    let generation = state.generation.load();
    let (host, path) = (host(request), request.uri.path());
    let Some(route) = generation.balancer.route(host, path) else {
        return Err(reply::status(404, "no route"));
    };
    let upstream = generation.upstream_of(route);
    context.record.route = Some(Arc::clone(generation.route_meters(route)));
    context.record.upstream = Some(Arc::clone(&upstream.meters));
    check_limits(request, &upstream.sticky.upstream().spec().limits)?;
    let facts = Request {
        method: &request.method,
        host,
        path,
        query: request.uri.query(),
        headers: &request.headers,
        client: context.record.client.unwrap_or_else(|| std::net::Ipv4Addr::UNSPECIFIED.into()),
        scheme: client_scheme(session, &request.headers, state),
    };
    let exchange = upstream.sticky.receive(&facts, context.record.started.now());
    if exchange.is_relayed()
        && let Some(about) = ClientStream::of(session).map(ClientStream::about)
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
pub fn has_login(client: &ClientStream, request: &RequestHeader) -> bool {
    if !client.has_login() && connection_login::is_carried(&request.headers) {
        client.remember_login();
    }
    client.has_login()
}

/// Remembers that a response asks for a login that belongs to the connection: the next request will have it.
pub fn remember_requested_login(session: &Session, response: &ResponseHeader) {
    let facts = Response { status: response.status, headers: &response.headers };
    if connection_login::is_asked_for(&facts)
        && let Some(client) = ClientStream::of(session)
    {
        client.remember_login();
    }
}

fn check_limits(request: &RequestHeader, limits: &Limits) -> Result<()> {
    if header_bytes(&request.method, &request.uri, &request.headers) > limits.header_bytes {
        return Err(reply::status(431, "the header block is over the limit"));
    }
    let length =
        request.headers.get(::http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match (limits.body, length) {
        (Some(limit), Some(length)) if length > limit => Err(reply::status(413, "the body is over the limit")),
        (Some(_) | None, _) => Ok(()),
    }
}

fn client_scheme(session: &Session, headers: &HeaderMap, state: &ServingState) -> Scheme {
    ClientStream::of(session).map_or(Scheme::Http, |stream| {
        let about = stream.about();
        state.listeners[about.listener].forwarding().scheme(about.peer.address(), Scheme::Http, headers)
    })
}

/// The requested host: the Host header, or the authority of an absolute target.
fn host(request: &RequestHeader) -> &str {
    let header = request.headers.get(HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| request.uri.authority().map(|authority| authority.as_str())).unwrap_or_default()
}

/// Ends the connection after this response if the process is shutting down. A tunnel takes no more requests either.
pub fn end_connection_if_leaving(session: &mut Session, response: &ResponseHeader, state: &ServingState) {
    let leaving = state.readiness.is_leaving();
    if leaving {
        session.set_keepalive(None);
    }
    let Some(client) = ClientStream::of(session) else { return };
    let upgraded = response.status == StatusCode::SWITCHING_PROTOCOLS;
    if upgraded {
        client.upgraded();
    }
    if leaving || upgraded {
        client.takes_no_more();
    }
}
