//! Servers of an upstream: read, and changed while the process runs.

use std::sync::Arc;

use ::http::header::ETAG;
use ::http::{HeaderMap, StatusCode};
use axum::Extension;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use burdock::balancer::StickyUpstream;
use burdock::balancer::overrides;
use burdock::balancer::overrides::{Patch, Wanted};
use burdock::ids::ServerId;
use burdock::time::UnixSeconds;
use burdock::upstream::spec::{self, Address, Tier, Weight};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::extract::{By, Json, Path, Query};
use super::{change, upstreams, views};
use crate::api::problem::{FieldError, Problem};
use crate::api::server::{
    Changed, MaxConns, NewServer, RemoveQuery, ServerInfo, ServerList, ServerPatch, Then, Unlimited, WantedState,
};
use crate::control::change::Control;
use crate::control::persist::Persisted;
use crate::control::servers::{Added, Removal};
use crate::control::tag::Tag;

pub fn router() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, patch, remove))
}

/// The server of this id, by its position.
///
/// # Errors
/// 404 where there is none.
pub fn find(control: &Control, upstream: &str, id: &str) -> Result<(Arc<StickyUpstream>, usize), Problem> {
    let pool = upstreams::find(&control.state, upstream)?;
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
    let (origins, now) = (control.origins(pool.upstream().name()), control.state.serving.clock.moment().now());
    let servers = (0..pool.upstream().servers().len()).map(|at| views::server(&pool, at, &origins, now)).collect();
    Ok(Json(ServerList { servers }))
}

/// One server
#[utoipa::path(get, path = "/upstreams/{upstream}/servers/{server}", tag = "servers", operation_id = "get_server",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id, percent-encoded where it has a slash")),
    responses((status = OK, body = ServerInfo, description = "As it is now",
        headers(("ETag" = String, description = "Of what is wanted of it: for If-Match")))))]
async fn get(
    Shared(control): Shared<Arc<Control>>,
    Path((upstream, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (pool, at) = find(&control, &upstream, &id)?;
    Ok(([(ETAG, etag(&pool, at))], Json(to_api(&control, &pool, at))).into_response())
}

/// Changes what is wanted of a server
///
/// What is left out stays as it is, null is as the file has it again. It outlives reloads and restarts.
#[utoipa::path(patch, path = "/upstreams/{upstream}/servers/{server}", tag = "servers", operation_id = "change_server",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id"),
        ("If-Match" = Option<String>, Header, description = "The change is made only where the server still has this ETag")),
    request_body = ServerPatch,
    responses((status = OK, body = Changed, description = "The server afterwards",
        headers(("ETag" = String, description = "Of what is wanted of it now")))))]
async fn patch(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path((upstream, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(wanted): Json<ServerPatch>,
) -> Result<Response, Problem> {
    let name = change::names(&upstream, &id)?;
    let wishes = wishes(&wanted, control.state.serving.clock.moment().now().wall)?;
    let changed = change::carry_out(&control, move |control| {
        let expected = change::expected(control, (&name.0, &name.1), &headers);
        control.change(&name.0, &name.1, wishes, &expected, &who.into())
    });
    answer(&control, &upstream, &id, changed.await??)
}

/// Adds a server
///
/// It outlives reloads and restarts, until it is removed or reset. One that is on its way out and is added again stays.
#[utoipa::path(post, path = "/upstreams/{upstream}/servers", tag = "servers", operation_id = "add_server",
    params(("upstream" = String, Path, description = "The upstream's name")), request_body = NewServer,
    responses((status = CREATED, body = Changed, description = "The server as it is now",
        headers(("ETag" = String, description = "Of what is wanted of it"), ("Location" = String, description = "Where it is")))))]
async fn add(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path(upstream): Path<String>,
    Json(new): Json<NewServer>,
) -> Result<Response, Problem> {
    let pool = upstreams::find(&control.state, &upstream)?;
    let name = pool.upstream().name().clone();
    let (id, added) = added(&new)?;
    let created = id.clone();
    let changed = change::carry_out(&control, move |control| control.add(&name, &id, added, &who.into()));
    let mut response = answer(&control, &upstream, created.as_str(), changed.await??)?;
    *response.status_mut() = StatusCode::CREATED;
    let place = crate::api::path(&["upstreams", &upstream, "servers", created.as_str()]);
    if let Ok(place) = place.parse() {
        response.headers_mut().insert(::http::header::LOCATION, place);
    }
    Ok(response)
}

/// Removes a server
///
/// As the upstream treats removed servers: usually it keeps its sessions until they are gone. With `now` it goes at once.
#[utoipa::path(delete, path = "/upstreams/{upstream}/servers/{server}", tag = "servers", operation_id = "remove_server",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id"),
        ("If-Match" = Option<String>, Header, description = "It is removed only where it still has this ETag"),
        RemoveQuery),
    responses((status = OK, body = Changed, description = "The server on its way out, or null where it is gone")))]
async fn remove(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path((upstream, id)): Path<(String, String)>,
    Query(how): Query<RemoveQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = change::names(&upstream, &id)?;
    let how = if how.now { Removal::AtOnce } else { Removal::AsConfigured };
    let changed = change::carry_out(&control, move |control| {
        let expected = change::expected(control, (&name.0, &name.1), &headers);
        control.remove(&name.0, &name.1, how, &expected, &who.into())
    });
    answer(&control, &upstream, &id, changed.await??)
}

/// The server as it is after a change, where it still is.
fn answer(control: &Control, upstream: &str, id: &str, persisted: Persisted) -> Result<Response, Problem> {
    let warning = change::warning(persisted);
    Ok(match find(control, upstream, id) {
        Ok((pool, at)) => {
            let server = Some(to_api(control, &pool, at));
            ([(ETAG, etag(&pool, at))], Json(Changed { server, warning })).into_response()
        }
        Err(_) => Json(Changed { server: None, warning }).into_response(),
    })
}

fn to_api(control: &Control, pool: &StickyUpstream, at: usize) -> ServerInfo {
    views::server(pool, at, &control.origins(pool.upstream().name()), control.state.serving.clock.moment().now())
}

fn etag(pool: &StickyUpstream, at: usize) -> String {
    change::etag(&Tag::of(pool.upstream().servers()[at].spec()))
}

fn wishes(wanted: &ServerPatch, now: UnixSeconds) -> Result<overrides::ServerPatch, Problem> {
    let until = wanted.deadline.map(|seconds| UnixSeconds(now.0.saturating_add(seconds)));
    let drains = wanted.state == Some(Some(WantedState::Drain));
    let errors: Vec<FieldError> = [
        (wanted.deadline.is_some() && !drains).then(|| wrong("deadline", "it belongs to the state drain")),
        wanted.deadline.filter(|&seconds| seconds > LONGEST).map(|_| wrong("deadline", "a year at most")),
        (wanted.then.is_some() && until.is_none()).then(|| wrong("then", "it belongs to a deadline")),
        wanted.weight.flatten().filter(|&weight| Weight::new(weight).is_err()).map(|_| wrong("weight", "0 to 256")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !errors.is_empty() {
        return Err(unfit(errors));
    }
    let then = wanted.then.map_or(spec::Then::AsConfigured, then);
    Ok(overrides::ServerPatch {
        state: patched(wanted.state, |state| Some(state_wanted(state, until, then))),
        weight: patched(wanted.weight, |weight| Weight::new(weight).ok()),
        max_conns: patched(wanted.max_conns, |max| Some(max_conns(max))),
    })
}

/// Seconds of a drain's deadline.
const LONGEST: u32 = 31_536_000;

fn patched<T, U>(field: Option<Option<T>>, value: impl Fn(T) -> Option<U>) -> Patch<U> {
    match field {
        None => Patch::Keep,
        Some(None) => Patch::Reset,
        Some(Some(written)) => value(written).map_or(Patch::Keep, Patch::Set),
    }
}

fn added(new: &NewServer) -> Result<(ServerId, Added), Problem> {
    let mut errors = Vec::new();
    let address = Address::parse(&new.address).map_err(|error| errors.push(wrong("address", &error.to_string()))).ok();
    let id = ServerId::parse(new.id.as_deref().unwrap_or(&new.address));
    let id = id.map_err(|error| errors.push(wrong("id", &error.to_string()))).ok();
    let route = new.route.as_deref().map(ServerId::parse).transpose();
    let route = route.map_err(|error| errors.push(wrong("route", &error.to_string()))).ok();
    let weight = new.weight.map(Weight::new).transpose();
    let weight = weight.map_err(|error| errors.push(wrong("weight", &error.to_string()))).ok();
    let (Some(address), Some(id), Some(route), Some(weight)) = (address, id, route, weight) else {
        return Err(unfit(errors));
    };
    let tier = if new.backup { Tier::Backup } else { Tier::Primary };
    let wishes = overrides::ServerPatch {
        state: set(new.state.map(|state| state_wanted(state, None, spec::Then::AsConfigured))),
        weight: set(weight),
        max_conns: set(new.max_conns.map(max_conns)),
    };
    Ok((id, Added { server: overrides::Added { address, route, tier }, wishes }))
}

fn set<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Keep, Patch::Set)
}

fn state_wanted(state: WantedState, until: Option<UnixSeconds>, then: spec::Then) -> Wanted {
    match state {
        WantedState::Ready => Wanted::Ready,
        WantedState::Drain => Wanted::Drain { until, then },
        WantedState::Maint => Wanted::Maint,
    }
}

fn then(then: Then) -> spec::Then {
    match then {
        Then::AsConfigured => spec::Then::AsConfigured,
        Then::Move => spec::Then::Move,
        Then::Refuse => spec::Then::Refuse,
    }
}

fn max_conns(max: MaxConns) -> overrides::MaxConns {
    match max {
        MaxConns::Limit(limit) => overrides::MaxConns::Limit(limit),
        MaxConns::Without(Unlimited::None) => overrides::MaxConns::Unlimited,
    }
}

fn wrong(at: &str, detail: &str) -> FieldError {
    FieldError { at: at.to_owned(), detail: detail.to_owned() }
}

fn unfit(errors: Vec<FieldError>) -> Problem {
    Problem {
        errors,
        ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing is changed: not all fields can be as they are")
    }
}
