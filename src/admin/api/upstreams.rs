//! Upstreams: listing them.

use std::sync::Arc;

use ::http::StatusCode;
use axum::extract::State as Shared;
use burdock::balancer::StickyUpstream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::{Json, Path};
use super::views;
use crate::api::problem::Problem;
use crate::api::upstream::{UpstreamInfo, UpstreamList};
use crate::control::change::Control;
use crate::control::state::ProcessState;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// The upstream of this name.
///
/// # Errors
/// 404 where there is none.
pub fn find(state: &ProcessState, name: &str) -> Result<Arc<StickyUpstream>, Problem> {
    let generation = state.serving.generation.load();
    let found = generation.balancer.upstreams().iter().find(|upstream| upstream.upstream().name().as_str() == name);
    found.cloned().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("no upstream {name:?}")))
}

/// All upstreams
#[utoipa::path(get, path = "/upstreams", tag = "upstreams", operation_id = "list_upstreams",
    responses((status = OK, body = UpstreamList, description = "In the configuration's order")))]
async fn list(Shared(control): Shared<Arc<Control>>) -> Json<UpstreamList> {
    let now = control.state.serving.clock.moment().now();
    let upstreams = control
        .state
        .serving
        .generation
        .load()
        .balancer
        .upstreams()
        .iter()
        .map(|upstream| views::upstream(upstream, now))
        .collect();
    Json(UpstreamList { upstreams })
}

/// One upstream
#[utoipa::path(get, path = "/upstreams/{upstream}", tag = "upstreams", operation_id = "get_upstream",
    params(("upstream" = String, Path, description = "Its name")),
    responses((status = OK, body = UpstreamInfo, description = "Its current state")))]
async fn get(Shared(control): Shared<Arc<Control>>, Path(name): Path<String>) -> Result<Json<UpstreamInfo>, Problem> {
    let upstream = find(&control.state, &name)?;
    Ok(Json(views::upstream(&upstream, control.state.serving.clock.moment().now())))
}
