//! Sessions in tables: listed, found by the name that only the client and the application know, forgotten.

use std::sync::Arc;

use ::http::StatusCode;
use axum::Extension;
use axum::extract::State as Shared;
use burdock::balancer::StickyUpstream;
use burdock::ids::ServerId;
use burdock::session::fingerprint::Prefix;
use burdock::table::{Cursor, Entry, EvictionClass, Filter, Known, ServerIndex, Session, Table};
use burdock::time::UnixSeconds;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::{By, Json, Path, Query};
use super::{tables, upstreams};
use crate::api::problem::Problem;
use crate::api::table::{FindSession, ForgetServer, Forgotten, SessionInfo, SessionList, SessionQuery};
use crate::control::actor::Actor;
use crate::control::change::Control;

/// Sessions of a part of the list, where the caller says nothing, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 10_000;
/// Digits with which one session may be named: fewer could be another's by accident.
const FEWEST_DIGITS: usize = 16;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(find)).routes(routes!(forget)).routes(routes!(forget_server))
}

/// The sessions of a table
#[utoipa::path(get, path = "/tables/{table}/sessions", tag = "sessions", operation_id = "list_sessions",
    params(("table" = String, Path, description = "The table's name"), SessionQuery),
    responses((status = OK, body = SessionList, description = "A part of them")))]
async fn list(
    Shared(control): Shared<Arc<Control>>,
    Path(name): Path<String>,
    Query(wanted): Query<SessionQuery>,
) -> Result<Json<SessionList>, Problem> {
    let learned = tables::find(&control.state, &name)?;
    let upstream = wanted.upstream.as_deref().map(|upstream| upstreams::find(&control.state, upstream)).transpose()?;
    let limit = match wanted.limit.unwrap_or(USUAL) {
        limit @ 1..=MOST => limit as usize,
        _ => return Err(invalid(format!("limit is a number from 1 to {MOST}"))),
    };
    let Some(filter) = filter(learned.table(), &wanted)? else {
        return Ok(Json(SessionList { sessions: Vec::new(), next: None }));
    };
    let cursor = wanted.cursor.as_deref().map_or_else(|| Ok(Cursor::default()), cursor)?;
    let now = control.state.serving.clock.moment().now().wall;
    let list = move || {
        let table = learned.table();
        let page = table.list(&filter, cursor, limit, now);
        let told = page.entries.iter().filter_map(|entry| to_api(table, entry, now));
        let sessions = told.filter(|session| upstream.as_deref().is_none_or(|pool| has(pool, &session.server))).collect();
        SessionList { sessions, next: page.next.map(|next| format!("{:016x}", next.to_number())) }
    };
    aside(list).await.map(Json)
}

/// Finds a session by the id that clients carry
///
/// The id is hashed; it is neither stored nor logged. Looking does not count as a request of the session.
#[utoipa::path(post, path = "/tables/{table}/sessions/find", tag = "sessions", operation_id = "find_session",
    params(("table" = String, Path, description = "The table's name")), request_body = FindSession,
    responses((status = OK, body = SessionInfo, description = "The session")))]
async fn find(
    Shared(control): Shared<Arc<Control>>,
    Path(name): Path<String>,
    Json(wanted): Json<FindSession>,
) -> Result<Json<SessionInfo>, Problem> {
    let learned = tables::find(&control.state, &name)?;
    let (table, now) = (learned.table(), control.state.serving.clock.moment().now().wall);
    let fingerprint = learned.fingerprint(wanted.id.as_bytes());
    let found = match table.find(fingerprint, now) {
        Known::Session(session) => to_api(table, &Entry { fingerprint, session }, now),
        Known::Expired(_) | Known::Unknown => None,
    };
    found
        .map(Json)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("the table {name} has no live session of this id")))
}

/// Forgets a session
///
/// Its next request counts as one of a session that nobody knows. Named by the beginning of its fingerprint, 16 digits or more, as
/// lists have it.
#[utoipa::path(delete, path = "/tables/{table}/sessions/{fingerprint}", tag = "sessions", operation_id = "forget_session",
    params(
        ("table" = String, Path, description = "The table's name"),
        ("fingerprint" = String, Path, description = "The beginning of its fingerprint", pattern = "^[0-9a-fA-F]{16,32}$")),
    responses((status = OK, body = SessionInfo, description = "The session as it was")))]
async fn forget(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path((name, digits)): Path<(String, String)>,
) -> Result<Json<SessionInfo>, Problem> {
    let learned = tables::find(&control.state, &name)?;
    let prefix = digits.parse().ok().filter(|_| digits.len() >= FEWEST_DIGITS);
    let prefix: Prefix =
        prefix.ok_or_else(|| invalid("a fingerprint is given by 16 to 32 hexadecimal digits".to_owned()))?;
    let (table, now) = (Arc::clone(learned.table()), control.state.serving.clock.moment().now().wall);
    let found = {
        let (table, filter) = (Arc::clone(&table), Filter { prefix: Some(prefix), ..Filter::default() });
        aside(move || table.list(&filter, Cursor::default(), 2, now).entries).await?
    };
    let entry = match &*found {
        [entry] => *entry,
        [] => return Err(Problem::new(StatusCode::NOT_FOUND, format!("the table {name} has no live session {prefix}"))),
        _ => return Err(Problem::new(StatusCode::CONFLICT, "several sessions begin so: give more digits")),
    };
    let gone = |session: Session| to_api(&table, &Entry { session, ..entry }, now);
    let forgotten = table.forget(entry.fingerprint, now).and_then(gone);
    let session = forgotten.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "it has just gone by itself"))?;
    Actor::from(who).audit(format_args!("table {name}: session {} of {} forgotten", session.fingerprint, session.server));
    Ok(Json(session))
}

/// Forgets all sessions of a server
#[utoipa::path(post, path = "/tables/{table}/sessions/forget-server", tag = "sessions", operation_id = "forget_server",
    params(("table" = String, Path, description = "The table's name")), request_body = ForgetServer,
    responses((status = OK, body = Forgotten, description = "How many there were")))]
async fn forget_server(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path(name): Path<String>,
    Json(wanted): Json<ForgetServer>,
) -> Result<Json<Forgotten>, Problem> {
    let learned = tables::find(&control.state, &name)?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("the table {name} has no server {:?}", wanted.server));
    let index = index(learned.table(), &wanted.server)?.ok_or_else(unknown)?;
    let (table, now) = (Arc::clone(learned.table()), control.state.serving.clock.moment().now().wall);
    let forgotten = aside(move || table.forget_server(index, now)).await?;
    Actor::from(who).audit(format_args!("table {name}: all {forgotten} sessions of {} forgotten", wanted.server));
    Ok(Json(Forgotten { forgotten }))
}

/// What goes through a whole table is not for the thread that serves the others.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reading the table failed"))
}

/// None where no session can meet it.
fn filter(table: &Table, wanted: &SessionQuery) -> Result<Option<Filter>, Problem> {
    let server = match wanted.server.as_deref().map(|server| index(table, server)).transpose()? {
        None => None,
        Some(None) => return Ok(None),
        Some(found) => found,
    };
    let prefix =
        wanted.prefix.as_deref().map(str::parse).transpose().map_err(|error| invalid(format!("prefix: {error}")))?;
    Ok(Some(Filter { server, older_than: wanted.older_than, younger_than: wanted.younger_than, prefix }))
}

fn index(table: &Table, server: &str) -> Result<Option<ServerIndex>, Problem> {
    let id = ServerId::parse(server).map_err(|error| invalid(format!("server: {error}")))?;
    Ok(table.index_of(&id))
}

fn cursor(text: &str) -> Result<Cursor, Problem> {
    let number =
        u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16 && text.bytes().all(|c| c.is_ascii_hexdigit()));
    number.map(Cursor::from_number).ok_or_else(|| invalid("cursor is what `next` of the part before says".to_owned()))
}

fn has(pool: &StickyUpstream, server: &str) -> bool {
    pool.upstream().servers().iter().any(|member| member.id().as_str() == server)
}

fn to_api(table: &Table, entry: &Entry, now: UnixSeconds) -> Option<SessionInfo> {
    let Session { server, stamps, class } = entry.session;
    Some(SessionInfo {
        fingerprint: entry.fingerprint.half().to_string(),
        server: table.server(server)?.to_string(),
        age: now.since(stamps.issued),
        idle: now.since(stamps.seen),
        established: class == EvictionClass::Established,
    })
}

fn invalid(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
