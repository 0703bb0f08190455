//! The process: which Burdock it is.

use std::sync::Arc;

use axum::extract::State as Shared;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::Json;
use crate::api::process::{Readiness, Version};
use crate::proxy::control::Control;
use crate::proxy::state::Ready;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(version))
}

/// Which Burdock this is, and how long it has been running
#[utoipa::path(get, path = "/version", tag = "process", responses((status = OK, body = Version, description = "This process")))]
async fn version(Shared(control): Shared<Arc<Control>>) -> Json<Version> {
    let readiness = match control.state.readiness.now() {
        Ready::Yes => Readiness::Ready,
        Ready::NotListening => Readiness::NotListening,
        Ready::NotChecked => Readiness::NotChecked,
        Ready::Leaving => Readiness::Leaving,
    };
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: control.state.clock.uptime().0.as_secs(),
        readiness,
        connections: control.state.connections.count(),
    })
}
