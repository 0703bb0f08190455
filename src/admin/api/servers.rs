//! Servers of an upstream: reading them and changing them at run time.

use std::sync::Arc;

use ::http::header::ETAG;
use ::http::{HeaderMap, StatusCode};
use axum::Extension;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use burdock::balancer::StickyUpstream;
use burdock::balancer::overrides;
use burdock::balancer::overrides::{Patch, StateOverride};
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

/// The upstream and the index of the server with this id.
///
/// # Errors
/// 404 where there is none.
pub fn find(control: &Control, name: &str, id: &str) -> Result<(Arc<StickyUpstream>, usize), Problem> {
    let upstream = upstreams::find(&control.state, name)?;
    let at = upstream.upstream().servers().iter().position(|server| server.id().as_str() == id);
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("upstream {name} has no server {id:?}"));
    at.map(|at| (upstream, at)).ok_or_else(missing)
}

/// The servers of an upstream
#[utoipa::path(get, path = "/upstreams/{upstream}/servers", tag = "servers", operation_id = "list_servers",
    params(("upstream" = String, Path, description = "The upstream's name")),
    responses((status = OK, body = ServerList, description = "In the configuration's order")))]
async fn list(Shared(control): Shared<Arc<Control>>, Path(upstream): Path<String>) -> Result<Json<ServerList>, Problem> {
    let upstream = upstreams::find(&control.state, &upstream)?;
    let (origins, now) = (control.origins(upstream.upstream().name()), control.state.serving.clock.moment().now());
    let servers = (0..upstream.upstream().servers().len()).map(|at| views::server(&upstream, at, &origins, now)).collect();
    Ok(Json(ServerList { servers }))
}

/// One server
#[utoipa::path(get, path = "/upstreams/{upstream}/servers/{server}", tag = "servers", operation_id = "get_server",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id, percent-encoded where it has a slash")),
    responses((status = OK, body = ServerInfo, description = "Its current state",
        headers(("ETag" = String, description = "The tag of its configuration, for If-Match")))))]
async fn get(
    Shared(control): Shared<Arc<Control>>,
    Path((upstream, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (upstream, at) = find(&control, &upstream, &id)?;
    Ok(([(ETAG, etag(&upstream, at))], Json(to_api(&control, &upstream, at))).into_response())
}

/// Changes a server at run time
///
/// Fields that are left out keep their value. Null resets a field to the configuration file's value. The change survives reloads
/// and restarts.
#[utoipa::path(patch, path = "/upstreams/{upstream}/servers/{server}", tag = "servers", operation_id = "change_server",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id"),
        ("If-Match" = Option<String>, Header, description = "Make the change only if the server still has this ETag")),
    request_body = ServerPatch,
    responses((status = OK, body = Changed, description = "The server after the change",
        headers(("ETag" = String, description = "The new tag of its configuration")))))]
async fn patch(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path((upstream, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(wanted): Json<ServerPatch>,
) -> Result<Response, Problem> {
    let name = change::names(&upstream, &id)?;
    let patch = server_patch(&wanted, control.state.serving.clock.moment().now().wall)?;
    let changed = change::carry_out(&control, move |control| {
        let expected = change::expected(control, (&name.0, &name.1), &headers);
        control.change(&name.0, &name.1, patch, &expected, &who.into())
    });
    answer(&control, &upstream, &id, changed.await??)
}

/// Adds a server
///
/// It survives reloads and restarts, until it is removed or reset. A leaving server that is added again stays.
#[utoipa::path(post, path = "/upstreams/{upstream}/servers", tag = "servers", operation_id = "add_server",
    params(("upstream" = String, Path, description = "The upstream's name")), request_body = NewServer,
    responses((status = CREATED, body = Changed, description = "The server after the change",
        headers(("ETag" = String, description = "The tag of its configuration"), ("Location" = String, description = "Its URL")))))]
async fn add(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path(upstream): Path<String>,
    Json(new): Json<NewServer>,
) -> Result<Response, Problem> {
    let name = upstreams::find(&control.state, &upstream)?.name().clone();
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
/// By default the server keeps its sessions until they end, or does what the upstream configures for removed servers. With `now`
/// it is removed at once.
#[utoipa::path(delete, path = "/upstreams/{upstream}/servers/{server}", tag = "servers", operation_id = "remove_server",
    params(
        ("upstream" = String, Path, description = "The upstream's name"),
        ("server" = String, Path, description = "The server's id"),
        ("If-Match" = Option<String>, Header, description = "Remove the server only if it still has this ETag"),
        RemoveQuery),
    responses((status = OK, body = Changed, description = "The leaving server, or null if it is gone")))]
async fn remove(
    Shared(control): Shared<Arc<Control>>,
    Extension(who): By,
    Path((upstream, id)): Path<(String, String)>,
    Query(query): Query<RemoveQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = change::names(&upstream, &id)?;
    let how = if query.now { Removal::AtOnce } else { Removal::AsConfigured };
    let changed = change::carry_out(&control, move |control| {
        let expected = change::expected(control, (&name.0, &name.1), &headers);
        control.remove(&name.0, &name.1, how, &expected, &who.into())
    });
    answer(&control, &upstream, &id, changed.await??)
}

/// The server after a change, if it still exists.
fn answer(control: &Control, upstream: &str, id: &str, persisted: Persisted) -> Result<Response, Problem> {
    let warning = change::warning(persisted);
    Ok(match find(control, upstream, id) {
        Ok((upstream, at)) => {
            let server = Some(to_api(control, &upstream, at));
            ([(ETAG, etag(&upstream, at))], Json(Changed { server, warning })).into_response()
        }
        Err(_) => Json(Changed { server: None, warning }).into_response(),
    })
}

fn to_api(control: &Control, upstream: &StickyUpstream, at: usize) -> ServerInfo {
    views::server(upstream, at, &control.origins(upstream.upstream().name()), control.state.serving.clock.moment().now())
}

fn etag(upstream: &StickyUpstream, at: usize) -> String {
    change::etag(&Tag::of(upstream.upstream().servers()[at].spec()))
}

fn server_patch(wanted: &ServerPatch, now: UnixSeconds) -> Result<overrides::ServerPatch, Problem> {
    let until = wanted.deadline.map(|seconds| UnixSeconds(now.0.saturating_add(seconds)));
    let drains = wanted.state == Some(Some(WantedState::Drain));
    let errors: Vec<FieldError> = [
        (wanted.deadline.is_some() && !drains).then(|| wrong("deadline", "allowed only with state drain")),
        wanted.deadline.filter(|&seconds| seconds > MAX_DEADLINE).map(|_| wrong("deadline", "expected at most a year")),
        (wanted.then.is_some() && until.is_none()).then(|| wrong("then", "allowed only with a deadline")),
        wanted.weight.flatten().filter(|&weight| Weight::new(weight).is_err()).map(|_| wrong("weight", "expected 0 to 256")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let then = wanted.then.map_or(spec::Then::AsConfigured, then);
    Ok(overrides::ServerPatch {
        state: patched(wanted.state, |state| Some(state_wanted(state, until, then))),
        weight: patched(wanted.weight, |weight| Weight::new(weight).ok()),
        max_conns: patched(wanted.max_conns, |max| Some(max_conns(max))),
    })
}

/// Longest deadline of a drain, in seconds: a year.
const MAX_DEADLINE: u32 = 31_536_000;

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
        return Err(invalid(errors));
    };
    let tier = if new.backup { Tier::Backup } else { Tier::Primary };
    let patch = overrides::ServerPatch {
        state: set(new.state.map(|state| state_wanted(state, None, spec::Then::AsConfigured))),
        weight: set(weight),
        max_conns: set(new.max_conns.map(max_conns)),
    };
    Ok((id, Added { server: overrides::Added { address, route, tier }, patch }))
}

fn set<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Keep, Patch::Set)
}

fn state_wanted(state: WantedState, until: Option<UnixSeconds>, then: spec::Then) -> StateOverride {
    match state {
        WantedState::Ready => StateOverride::Ready,
        WantedState::Drain => StateOverride::Drain { until, then },
        WantedState::Maint => StateOverride::Maint,
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

fn invalid(errors: Vec<FieldError>) -> Problem {
    Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing changed: invalid fields") }
}
