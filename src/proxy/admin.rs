//! The admin address: `/metrics`, `/healthz`, `/readyz`.

use std::sync::Arc;

use ::http::{Response, StatusCode, header};
use async_trait::async_trait;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use super::state::{Ready, State};

pub struct Admin(pub Arc<State>);

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        match session.req_header().uri.path() {
            "/metrics" => self.metrics(),
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            "/readyz" => readiness(self.0.readiness.now()),
            _ => plain(StatusCode::NOT_FOUND, "there is /metrics, /healthz and /readyz\n"),
        }
    }
}

impl Admin {
    fn metrics(&self) -> Response<Vec<u8>> {
        let state = &self.0;
        let snapshot = state.snapshot.load();
        let pools = snapshot.lanes().iter().map(|lane| &*lane.pool);
        let now = state.clock.moment().now();
        for (table, status) in state.sessions.tables() {
            state.metrics.take_table(&table, &status, now.wall);
        }
        match state.metrics.render(state.connections.count(), now, pools) {
            Ok(text) => respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into_bytes()),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }
}

fn readiness(ready: Ready) -> Response<Vec<u8>> {
    match ready {
        Ready::Yes => plain(StatusCode::OK, "ready\n"),
        Ready::NotListening => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: not listening yet\n"),
        Ready::NotChecked => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: servers not checked yet\n"),
        Ready::Leaving => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready: leaving\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    respond(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let length = response.body().len();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
