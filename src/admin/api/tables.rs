//! Session tables: listing them, with their size and persistence.

use std::sync::Arc;

use ::http::StatusCode;
use axum::extract::State as Shared;
use burdock::sticky::learn_table::LearnTable;
use burdock::table::Table;
use burdock::time::UnixSeconds;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::{Json, Path};
use crate::api::problem::Problem;
use crate::api::table::{Persistence, ServerSessions, TableDetails, TableInfo, TableList};
use crate::control::change::Control;
use crate::control::state::ProcessState;
use crate::storage::status;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// The table of this name.
///
/// # Errors
/// 404 where there is none.
pub fn find(state: &ProcessState, name: &str) -> Result<Arc<LearnTable>, Problem> {
    let generation = state.serving.generation.load();
    let found = generation.balancer.tables().learned().find(|learned| learned.table().spec().name.as_str() == name);
    found.cloned().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("no session table {name:?}")))
}

/// All session tables
#[utoipa::path(get, path = "/tables", tag = "sessions", operation_id = "list_tables",
    responses((status = OK, body = TableList, description = "Sorted by name")))]
async fn list(Shared(control): Shared<Arc<Control>>) -> Json<TableList> {
    let now = control.state.serving.clock.moment().now().wall;
    let generation = control.state.serving.generation.load();
    let mut tables: Vec<TableInfo> =
        generation.balancer.tables().all().map(|table| to_api(&control.state, table, now)).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Json(TableList { tables })
}

/// One session table, with its sessions per server
#[utoipa::path(get, path = "/tables/{table}", tag = "sessions", operation_id = "get_table",
    params(("table" = String, Path, description = "Its name")),
    responses((status = OK, body = TableDetails, description = "Its current state")))]
async fn get(Shared(control): Shared<Arc<Control>>, Path(name): Path<String>) -> Result<Json<TableDetails>, Problem> {
    let learned = find(&control.state, &name)?;
    let (table, now) = (learned.table(), control.state.serving.clock.moment().now().wall);
    Ok(Json(TableDetails { table: to_api(&control.state, table, now), servers: by_server(table, now) }))
}

fn by_server(table: &Table, now: UnixSeconds) -> Vec<ServerSessions> {
    let servers = table.servers().into_iter();
    servers.map(|(index, id)| ServerSessions { server: id.to_string(), sessions: table.count(index, now) }).collect()
}

fn to_api(state: &ProcessState, table: &Arc<Table>, now: UnixSeconds) -> TableInfo {
    let spec = table.spec();
    TableInfo {
        name: spec.name.to_string(),
        sessions: table.servers().into_iter().map(|(index, _)| table.count(index, now)).sum(),
        capacity: spec.capacity.get(),
        bytes: table.bytes(),
        idle_timeout: spec.lifetime.idle,
        max_life: spec.lifetime.life,
        persistence: persistence(state, table),
    }
}

fn persistence(state: &ProcessState, table: &Table) -> Persistence {
    let found = state
        .storage
        .tables()
        .into_iter()
        .find(|(stored, _)| std::ptr::eq(&**stored, table))
        .map(|(_, status)| status.persistence());
    match found {
        Some(status::Persistence::On) => Persistence::On,
        Some(status::Persistence::Waiting) => Persistence::Waiting,
        Some(status::Persistence::Failing) => Persistence::Failing,
        Some(status::Persistence::Off) | None => Persistence::Off,
    }
}
