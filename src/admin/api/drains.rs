//! Draining servers: their progress, and waiting until they are drained.

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use axum::extract::State as Shared;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::{Json, Path, Query};
use super::{servers, views};
use crate::api::drain::{DrainList, DrainQuery, DrainStatus, Stage};
use crate::api::problem::Problem;
use crate::control::change::Control;

/// How often a waiting request checks the drain.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Longest wait of one request, in seconds.
const MAX_WAIT: u64 = 60;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// All servers that are draining or leaving
#[utoipa::path(get, path = "/drains", tag = "drains", operation_id = "list_drains",
    responses((status = OK, body = DrainList, description = "Servers in drain, in maintenance, of weight 0, or removed")))]
async fn list(Shared(control): Shared<Arc<Control>>) -> Json<DrainList> {
    let (generation, now) = (control.state.serving.generation.load(), control.state.serving.clock.moment().now());
    let of_upstream = |upstream: &Arc<burdock::balancer::StickyUpstream>| {
        upstream.drains().map(|at| views::drain(upstream, at, now)).collect::<Vec<_>>()
    };
    Json(DrainList { drains: generation.balancer.upstreams().iter().flat_map(of_upstream).collect() })
}

/// The progress of a server's drain
///
/// With `wait`, the response comes when the drain is complete, when the server is not draining, or when the time is over. Use it
/// in a preStop hook. It changes nothing.
#[utoipa::path(get, path = "/upstreams/{upstream}/servers/{server}/drain", tag = "drains", operation_id = "get_drain",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id"), DrainQuery),
    responses((status = OK, body = DrainStatus, description = "The current progress")))]
async fn get(
    Shared(control): Shared<Arc<Control>>,
    Path((upstream, id)): Path<(String, String)>,
    Query(query): Query<DrainQuery>,
) -> Result<Json<DrainStatus>, Problem> {
    let wait = query.wait.as_deref().map_or(Ok(Duration::ZERO), wait)?;
    let until = control.state.serving.clock.uptime().plus(wait);
    let mut status = drain_status(&control, &upstream, &id)?;
    while status.stage == Stage::Draining && control.state.serving.clock.uptime() < until {
        tokio::time::sleep(POLL_INTERVAL).await;
        status = match drain_status(&control, &upstream, &id) {
            Ok(status) => status,
            // The drain completed and the server is gone.
            Err(_) => return Ok(Json(DrainStatus { stage: Stage::Complete, in_flight: 0, ..status })),
        };
    }
    Ok(Json(status))
}

fn drain_status(control: &Control, upstream: &str, id: &str) -> Result<DrainStatus, Problem> {
    let (upstream, at) = servers::find(control, upstream, id)?;
    Ok(views::drain(&upstream, at, control.state.serving.clock.moment().now()))
}

fn wait(text: &str) -> Result<Duration, Problem> {
    let digits = text.strip_suffix('s').unwrap_or(text);
    let plain = digits == "0" || (digits.bytes().all(|c| c.is_ascii_digit()) && !digits.starts_with('0'));
    let seconds = digits.parse().ok().filter(|&seconds: &u64| plain && seconds <= MAX_WAIT);
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, format!("wait: expected 0s to {MAX_WAIT}s"));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}
