//! Where a request would go now.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::extract::State as Shared;
use burdock::config::values::Listener;
use burdock::http::forwarded::Forwarding;
use burdock::http::request::{self, Request};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::Json;
use crate::api::explain::{Asked, Explanation, Field, Scheme};
use crate::api::explanation;
use crate::api::problem::{FieldError, Problem};
use crate::control::change::Control;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// A hypothetical request, each part valid.
struct Parts {
    method: Method,
    headers: HeaderMap,
    client: IpAddr,
}

/// Explains where a request would go now, and why, without sending it
///
/// It uses the current states of the servers and the current session tables. It does not mark a session as seen. For an instant it
/// takes a slot at the server, as a request would. To see what a response would do to the tie, use `burdock explain`.
#[utoipa::path(post, path = "/explain", tag = "explain", operation_id = "explain", request_body = Asked,
    responses((status = OK, body = Explanation, description = "The decision")))]
async fn explain(Shared(control): Shared<Arc<Control>>, Json(asked): Json<Asked>) -> Result<Json<Explanation>, Problem> {
    let Parts { method, headers, client } = parts(&asked)?;
    let (path, query) = asked.path.split_once('?').map_or((&*asked.path, None), |(path, query)| (path, Some(query)));
    let forwarding = control.state.serving.listeners.first().map_or_else(Forwarding::default, Listener::forwarding);
    let asked_scheme = match asked.scheme {
        Scheme::Http => request::Scheme::Http,
        Scheme::Https => request::Scheme::Https,
    };
    let request = Request {
        method: &method,
        host: &asked.host,
        path,
        query,
        headers: &headers,
        client: forwarding.client_address(client, &headers),
        scheme: forwarding.scheme(client, asked_scheme, &headers),
    };
    let (generation, now) = (control.state.serving.generation.load(), control.state.serving.clock.moment().now());
    let Some(route) = generation.balancer.route(request.host, request.path) else {
        return Ok(Json(explanation::unrouted()));
    };
    let mut exchange = generation.balancer.upstream_of(route).preview(&request, now);
    Ok(Json(explanation::decide(&generation.balancer, route, &mut exchange, &headers, now)))
}

fn parts(asked: &Asked) -> Result<Parts, Problem> {
    let mut errors = Vec::new();
    let mut check = |at: String, is_valid: bool, detail: &str| {
        if !is_valid {
            errors.push(FieldError { at, detail: detail.to_owned() });
        }
    };
    let method = asked.method.parse().ok().filter(|_| asked.method.bytes().all(|c| c.is_ascii_uppercase()));
    check("method".to_owned(), method.is_some() && asked.method.len() <= 20, "expected 1 to 20 capital letters");
    check("host".to_owned(), is_host(&asked.host), "expected a name or an address, with or without a port");
    check(
        "path".to_owned(),
        is_path(&asked.path),
        "expected a path that begins with /, at most 2,001 bytes, without spaces",
    );
    check("headers".to_owned(), asked.headers.len() <= 100, "at most 100 headers");
    let mut headers = HeaderMap::new();
    for (at, Field { name, value }) in asked.headers.iter().enumerate() {
        let named = name.parse().ok().filter(|_: &HeaderName| name.len() <= 100);
        let content =
            value.parse().ok().filter(|_: &HeaderValue| value.len() <= 4000 && !value.contains('\t') && value.is_ascii());
        check(format!("headers[{at}].name"), named.is_some(), "not a header name");
        check(format!("headers[{at}].value"), content.is_some(), "not a header value");
        headers.extend(named.zip(content));
    }
    let client = asked.client.parse().ok();
    check("client".to_owned(), client.is_some(), "not an IP address");
    let method = method.filter(|_| errors.is_empty());
    method
        .zip(client)
        .map(|(method, client)| Parts { method, headers, client })
        .ok_or_else(|| Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not a valid request") })
}

fn is_host(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b".:_[]-".contains(&c))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.len() <= 2001 && text.bytes().all(|c| c.is_ascii_graphic())
}
