//! Sessions in tables: listing them, finding one by the id that only the client and the application know, and forgetting them.

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

/// Sessions per page: the default and the maximum.
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 10_000;
/// Digits needed to name one session: with fewer, another session could match by accident.
const MIN_DIGITS: usize = 16;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(find)).routes(routes!(forget)).routes(routes!(forget_server))
}

/// The sessions of a table
#[utoipa::path(get, path = "/tables/{table}/sessions", tag = "sessions", operation_id = "list_sessions",
    params(("table" = String, Path, description = "The table's name"), SessionQuery),
    responses((status = OK, body = SessionList, description = "One page of sessions")))]
async fn list(
    Shared(control): Shared<Arc<Control>>,
    Path(name): Path<String>,
    Query(wanted): Query<SessionQuery>,
) -> Result<Json<SessionList>, Problem> {
    let learned = tables::find(&control.state, &name)?;
    let upstream = wanted.upstream.as_deref().map(|upstream| upstreams::find(&control.state, upstream)).transpose()?;
    let limit = match wanted.limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => limit as usize,
        _ => return Err(invalid(format!("limit: expected 1 to {MAX_LIMIT}"))),
    };
    let Some(filter) = filter(learned.table(), &wanted)? else {
        return Ok(Json(SessionList { sessions: Vec::new(), next: None }));
    };
    let cursor = wanted.cursor.as_deref().map_or_else(|| Ok(Cursor::default()), cursor)?;
    let now = control.state.serving.clock.moment().now().wall;
    let list = move || {
        let table = learned.table();
        let page = table.list(&filter, cursor, limit, now);
        let sessions = page.entries.iter().filter_map(|entry| to_api(table, entry, now));
        let sessions =
            sessions.filter(|session| upstream.as_deref().is_none_or(|upstream| has(upstream, &session.server))).collect();
        SessionList { sessions, next: page.next.map(|next| format!("{:016x}", next.to_number())) }
    };
    run_blocking(list).await.map(Json)
}

/// Finds a session by the id that clients carry
///
/// The id is hashed. It is neither stored nor logged. This does not mark the session as seen.
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
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("table {name} has no live session with this id")))
}

/// Forgets a session
///
/// Its next request counts as one of an unknown session. Name it by the first digits of its fingerprint, at least 16, as shown in
/// lists.
#[utoipa::path(delete, path = "/tables/{table}/sessions/{fingerprint}", tag = "sessions", operation_id = "forget_session",
    params(
        ("table" = String, Path, description = "The table's name"),
        ("fingerprint" = String, Path, description = "The first digits of its fingerprint", pattern = "^[0-9a-fA-F]{16,32}$")),
    responses((status = OK, body = SessionInfo, description = "The forgotten session")))]
async fn forget(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path((name, digits)): Path<(String, String)>,
) -> Result<Json<SessionInfo>, Problem> {
    let learned = tables::find(&control.state, &name)?;
    let prefix = digits.parse().ok().filter(|_| digits.len() >= MIN_DIGITS);
    let prefix: Prefix = prefix.ok_or_else(|| invalid("fingerprint: expected 16 to 32 hexadecimal digits".to_owned()))?;
    let (table, moment) = (Arc::clone(learned.table()), control.state.serving.clock.moment().now());
    let now = moment.wall;
    let found = {
        let (table, filter) = (Arc::clone(&table), Filter { prefix: Some(prefix), ..Filter::default() });
        run_blocking(move || table.list(&filter, Cursor::default(), 2, now).entries).await?
    };
    let entry = match &*found {
        [entry] => *entry,
        [] => return Err(Problem::new(StatusCode::NOT_FOUND, format!("table {name} has no live session {prefix}"))),
        _ => return Err(Problem::new(StatusCode::CONFLICT, "several sessions match: give more digits")),
    };
    let removed = |session: Session| to_api(&table, &Entry { session, ..entry }, now);
    let forgotten = table.forget(entry.fingerprint, moment.date()).and_then(removed);
    let session = forgotten.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the session has just ended"))?;
    Actor::from(who).audit(format_args!("table {name}: session {} of {} forgotten", session.fingerprint, session.server));
    Ok(Json(session))
}

/// Forgets all sessions of a server
#[utoipa::path(post, path = "/tables/{table}/sessions/forget-server", tag = "sessions", operation_id = "forget_server",
    params(("table" = String, Path, description = "The table's name")), request_body = ForgetServer,
    responses((status = OK, body = Forgotten, description = "The number of forgotten sessions")))]
async fn forget_server(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path(name): Path<String>,
    Json(wanted): Json<ForgetServer>,
) -> Result<Json<Forgotten>, Problem> {
    let learned = tables::find(&control.state, &name)?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("table {name} has no server {:?}", wanted.server));
    let index = index(learned.table(), &wanted.server)?.ok_or_else(unknown)?;
    let (table, now) = (Arc::clone(learned.table()), control.state.serving.clock.moment().now());
    let forgotten = run_blocking(move || table.forget_server(index, now.date())).await?;
    Actor::from(who).audit(format_args!("table {name}: all {forgotten} sessions of {} forgotten", wanted.server));
    Ok(Json(Forgotten { forgotten }))
}

/// Runs work on a whole table on a blocking thread, so that it does not hold up other requests.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reading the table failed"))
}

/// None if no session can match.
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
    number
        .map(Cursor::from_number)
        .ok_or_else(|| invalid("cursor: expected the value of `next` of the previous page".to_owned()))
}

fn has(upstream: &StickyUpstream, server: &str) -> bool {
    upstream.upstream().servers().iter().any(|member| member.id().as_str() == server)
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
