//! The open endpoints: `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use ::http::StatusCode;
use ::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::Router;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::control::change::Control;
use crate::runtime::process_figures::ProcessFigures;
use crate::runtime::readiness::Ready;
use crate::storage::status::{Persistence, Status};
use crate::telemetry::metrics::StorageFigures;

pub fn router() -> Router<Arc<Control>> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || plain(StatusCode::OK, "ok\n")))
        .route("/readyz", get(readyz))
}

async fn metrics(Shared(control): Shared<Arc<Control>>) -> Response {
    let generation = control.state.serving.generation.load();
    let upstreams = generation.upstreams().iter().map(|handle| (&*handle.sticky, &*handle.meters));
    let now = control.state.serving.clock.moment().now();
    for (table, status) in control.state.storage.tables() {
        control.state.serving.metrics.take_table(&table, figures(&status), now.wall);
    }
    control.state.serving.metrics.take_process(ProcessFigures::read());
    match control.state.serving.metrics.render(control.state.serving.connections.count(), now, upstreams) {
        Ok(text) => respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn figures(status: &Status) -> StorageFigures {
    StorageFigures { persisted: status.persistence() == Persistence::On, errors: status.errors(), lost: status.lost() }
}

async fn readyz(Shared(control): Shared<Arc<Control>>) -> Response {
    match control.state.serving.readiness.now() {
        Ready::Yes => plain(StatusCode::OK, "ready\n"),
        Ready::NotListening => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: not listening yet\n"),
        Ready::NotChecked => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: servers not checked yet\n"),
        // Readiness is about this host: the process that took over serves its traffic.
        Ready::Replaced => plain(StatusCode::OK, "ready: another process has taken over\n"),
        Ready::Leaving => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: leaving\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], body).into_response()
}
