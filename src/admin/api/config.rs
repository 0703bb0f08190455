//! The current configuration, operators' runtime overrides, and reloading.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State as Shared;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::{By, Json};
use super::{change, views};
use crate::api::config::{ConfigInfo, Diff, Reload, Reloaded, Reset, ResetDone};
use crate::api::problem::Problem;
use crate::control::change::Control;
use crate::control::persist::Persisted;
use crate::control::reload::{ReloadMode, ReloadReport};

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(config)).routes(routes!(reload)).routes(routes!(diff)).routes(routes!(reset))
}

/// The current configuration
///
/// The text of the configuration file as last read, and the runtime overrides. Keys and tokens are in separate files.
#[utoipa::path(get, path = "/config", tag = "configuration", operation_id = "get_config",
    responses((status = OK, body = ConfigInfo, description = "The current configuration")))]
async fn config(Shared(control): Shared<Arc<Control>>) -> Json<ConfigInfo> {
    let desired = control.desired();
    Json(ConfigInfo {
        file: control.file().display().to_string(),
        text: desired.config.text.0.to_string(),
        changes: serde_json::to_value(&desired.changes).unwrap_or_default(),
    })
}

/// Reloads the configuration file: applies all of it, or nothing
#[utoipa::path(post, path = "/reload", tag = "configuration", operation_id = "reload", request_body = Reload,
    responses((status = OK, body = Reloaded, description = "What the reload changed, or would change")))]
async fn reload(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Json(options): Json<Reload>,
) -> Result<Json<Reloaded>, Problem> {
    let mode = match options {
        Reload { dry_run: true, .. } => ReloadMode::DryRun,
        Reload { partial: true, .. } => ReloadMode::Partial,
        Reload { .. } => ReloadMode::Whole,
    };
    let report = change::carry_out(&control, move |control| control.reload(mode, &who.into())).await??;
    Ok(Json(to_api(report)))
}

fn to_api(report: ReloadReport) -> Reloaded {
    let mut notes = report.notes.clone();
    notes.extend(change::warning(report.persisted.clone()));
    Reloaded {
        applied: report.mode != ReloadMode::DryRun,
        differences: report.differences.iter().map(views::difference).collect(),
        moves: views::moves(report.moves()),
        needs_upgrade: report.needs_upgrade.iter().map(|section| (*section).to_owned()).collect(),
        notes,
        warnings: report.warnings,
    }
}

/// The differences between the configuration file and the running state, made by runtime overrides
#[utoipa::path(get, path = "/diff", tag = "configuration", operation_id = "get_diff",
    responses((status = OK, body = Diff, description = "Empty if there are no overrides")))]
async fn diff(Shared(control): Shared<Arc<Control>>) -> Result<Json<Diff>, Problem> {
    let differences = change::carry_out(&control, Control::diff).await?;
    Ok(Json(Diff { differences: differences.iter().map(views::difference).collect() }))
}

/// Drops runtime overrides: those of one server, or all
#[utoipa::path(post, path = "/reset", tag = "configuration", operation_id = "reset", request_body = Reset,
    responses((status = OK, body = ResetDone, description = "The number of servers reset")))]
async fn reset(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Json(wanted): Json<Reset>,
) -> Result<Json<ResetDone>, Problem> {
    let of = wanted.of.map(|of| change::names(&of.upstream, &of.server)).transpose()?;
    let dropped = change::carry_out(&control, move |control| {
        control.reset(of.as_ref().map(|(upstream, id)| (upstream, id)), &who.into())
    });
    let (dropped, persisted): (usize, Persisted) = dropped.await??;
    Ok(Json(ResetDone { dropped, warning: change::warning(persisted) }))
}
