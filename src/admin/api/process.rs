//! The process: its version, and upgrades.

use std::sync::Arc;

use ::http::StatusCode;
use axum::extract::State as Shared;
use tokio::sync::oneshot;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::audit::Caller;
use super::super::extract::{By, Json};
use crate::api::problem::Problem;
use crate::api::process::{Readiness, Upgrade, Upgraded, Version};
use crate::control::actor::Actor;
use crate::control::change::Control;
use crate::control::upgrade_request::{UpgradeError, UpgradeRequest, UpgradeTimeout};
use crate::runtime::readiness::Ready;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(version)).routes(routes!(upgrade))
}

/// The version, uptime and readiness of this process
#[utoipa::path(get, path = "/version", tag = "process", responses((status = OK, body = Version, description = "This process")))]
async fn version(Shared(control): Shared<Arc<Control>>) -> Json<Version> {
    let readiness = match control.state.serving.readiness.now() {
        Ready::Yes => Readiness::Ready,
        Ready::NotListening => Readiness::NotListening,
        Ready::NotChecked => Readiness::NotChecked,
        Ready::Leaving | Ready::Replaced => Readiness::Leaving,
    };
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime: control.state.serving.clock.age().as_secs(),
        readiness,
        connections: control.state.serving.connections.count(),
    })
}

/// Starts a new process and hands over to it
///
/// The response comes when the new process serves, or when the upgrade has failed. After a failure this process continues as before.
#[utoipa::path(post, path = "/upgrade", tag = "process", request_body = Upgrade, responses(
    (status = OK, body = Upgraded, description = "The new process has taken over"),
    (status = FORBIDDEN, body = Problem, description = "A program may be named only on the Unix socket"),
    (status = CONFLICT, body = Problem, description = "An upgrade is in progress, or this is process 1 of a container"),
    (status = SERVICE_UNAVAILABLE, body = Problem, description = "This process is shutting down"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, description = "The new process failed before it served")))]
async fn upgrade(
    Shared(control): Shared<Arc<Control>>,
    axum::Extension(caller): By,
    Json(options): Json<Upgrade>,
) -> Result<Json<Upgraded>, Problem> {
    if options.binary.is_some() && !matches!(caller, Caller::User { .. }) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "another program can be started only through the Unix socket"));
    }
    let by = Actor::from(caller);
    let of = options.binary.as_ref().map_or_else(String::new, |binary| format!(" to {binary}"));
    by.audit(format_args!("upgrade{of} requested"));
    let (answer, answered) = oneshot::channel();
    let timing =
        options.timeout.map_or_else(UpgradeTimeout::default, |seconds| UpgradeTimeout::seconds(seconds.clamp(1, 3600)));
    let asked = UpgradeRequest { binary: options.binary.map(Into::into), timing, answer: Some(answer) };
    let outcome = match control.state.successors.try_send(asked) {
        Ok(()) => answered.await.unwrap_or(Err(UpgradeError::Leaving)),
        Err(_) => Err(UpgradeError::UnderWay),
    };
    match outcome {
        Ok(pid) => {
            by.audit(format_args!("upgrade{of}: process {pid} has taken over"));
            Ok(Json(Upgraded { pid }))
        }
        Err(failed) => {
            by.audit(format_args!("upgrade{of} failed: {failed}"));
            Err(Problem::new(status(&failed), failed.to_string()))
        }
    }
}

fn status(failed: &UpgradeError) -> StatusCode {
    match failed {
        UpgradeError::UnderWay | UpgradeError::First => StatusCode::CONFLICT,
        UpgradeError::Leaving => StatusCode::SERVICE_UNAVAILABLE,
        UpgradeError::Socket(_)
        | UpgradeError::Spawn { .. }
        | UpgradeError::Ended(_)
        | UpgradeError::Refused(_)
        | UpgradeError::Late(_)
        | UpgradeError::Unwritten(_)
        | UpgradeError::Sockets(_)
        | UpgradeError::Talk(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
