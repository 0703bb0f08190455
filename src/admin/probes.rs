//! What is for everybody: `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use ::http::StatusCode;
use ::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::Router;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::control::Control;
use crate::runtime::readiness::Ready;

pub fn router() -> Router<Arc<Control>> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || plain(StatusCode::OK, "ok\n")))
        .route("/readyz", get(readyz))
}

async fn metrics(Shared(control): Shared<Arc<Control>>) -> Response {
    let snapshot = control.state.snapshot.load();
    let pools = snapshot.lanes().iter().map(|lane| &*lane.pool);
    let now = control.state.clock.moment().now();
    for (table, status) in control.state.sessions.tables() {
        control.state.metrics.take_table(&table, &status, now.wall);
    }
    match control.state.metrics.render(control.state.connections.count(), now, pools) {
        Ok(text) => respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

async fn readyz(Shared(control): Shared<Arc<Control>>) -> Response {
    match control.state.readiness.now() {
        Ready::Yes => plain(StatusCode::OK, "ready\n"),
        Ready::NotListening => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: not listening yet\n"),
        Ready::NotChecked => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: servers not checked yet\n"),
        // The question was whether this host is to be sent traffic.
        Ready::Succeeded => plain(StatusCode::OK, "ready: another process has taken over\n"),
        Ready::Leaving => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: leaving\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], body).into_response()
}
