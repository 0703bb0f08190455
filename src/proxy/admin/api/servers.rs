//! Servers of an upstream.

use std::sync::Arc;

use ::http::StatusCode;
use ::http::header::ETAG;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use burdock::balancer::Pool;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::{Json, Path};
use super::{upstreams, views};
use crate::api::problem::Problem;
use crate::api::server::{ServerInfo, ServerList};
use crate::proxy::control::Control;
use crate::proxy::state::State;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// The server of this id, by its position.
///
/// # Errors
/// 404 where there is none.
fn find(state: &State, upstream: &str, id: &str) -> Result<(Arc<Pool>, usize), Problem> {
    let pool = upstreams::find(state, upstream)?;
    let at = pool.upstream().servers().iter().position(|server| server.id().as_str() == id);
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("the upstream {upstream} has no server {id:?}"));
    at.map(|at| (pool, at)).ok_or_else(missing)
}

/// The servers of an upstream
#[utoipa::path(get, path = "/upstreams/{upstream}/servers", tag = "servers", operation_id = "list_servers",
    params(("upstream" = String, Path, description = "The upstream's name")),
    responses((status = OK, body = ServerList, description = "In the configuration's order")))]
async fn list(Shared(control): Shared<Arc<Control>>, Path(upstream): Path<String>) -> Result<Json<ServerList>, Problem> {
    let pool = upstreams::find(&control.state, &upstream)?;
    Ok(Json(ServerList { servers: views::servers(&pool, control.state.clock.moment().now()) }))
}

/// One server
#[utoipa::path(get, path = "/upstreams/{upstream}/servers/{server}", tag = "servers", operation_id = "get_server",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id, percent-encoded where it has a slash")),
    responses((status = OK, body = ServerInfo, description = "As it is now",
        headers(("ETag" = String, description = "Of what can be changed: for If-Match")))))]
async fn get(
    Shared(control): Shared<Arc<Control>>,
    Path((upstream, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (pool, at) = find(&control.state, &upstream, &id)?;
    let server = views::server(&pool, at, control.state.clock.moment().now());
    Ok(([(ETAG, etag(&server))], Json(server)).into_response())
}

/// Of all that operators can change, and not of what changes by itself.
fn etag(server: &ServerInfo) -> String {
    let ServerInfo { address, state, weight, max_conns, backup, .. } = server;
    let hash = blake3::hash(format!("{address} {} {weight} {max_conns:?} {backup}", state.as_str()).as_bytes());
    format!("\"{}\"", &hash.to_hex()[..16])
}
