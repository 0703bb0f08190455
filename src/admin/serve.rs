//! One connection to the admin service, from whichever listener: HTTP/1.1 with deadlines, and not too many at one time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use axum::Router;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use crate::admin::auth::Via;
use crate::admin::router;
use crate::api::problem::Problem;
use crate::control::change::Control;

/// Connections at one time, by each listener.
const MOST: usize = 256;
/// How long a connection may take for a request's header block, or be without a request.
const HEADERS: Duration = Duration::from_secs(30);
/// How long a request may take, its body and a long poll included.
const REQUEST: Duration = Duration::from_secs(90);
/// How long a connection is kept; after the request under way it is closed.
const CONNECTION: Duration = Duration::from_secs(600);

/// Serves connections.
#[derive(Clone)]
pub struct Admin {
    service: TowerToHyperService<Router>,
    places: Arc<Semaphore>,
}

impl Admin {
    pub fn new(control: &Arc<Control>) -> Self {
        Self { service: TowerToHyperService::new(router::router(control)), places: Arc::new(Semaphore::new(MOST)) }
    }

    /// Serves a connection until it ends, or `leaving` does and the request under way is answered. One too many is closed.
    pub async fn serve<S>(&self, stream: S, via: Via, leaving: impl Future<Output = ()>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Ok(_place) = self.places.try_acquire() else {
            log::warn!("the admin service has {MOST} connections, one more was closed");
            return;
        };
        let answer = hyper::service::service_fn(|request| self.answer(request, via));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = std::pin::pin!(connection);
        let last = async {
            tokio::select! {
                () = leaving => {}
                () = tokio::time::sleep(CONNECTION) => {}
            }
        };
        tokio::select! {
            // What goes wrong with a connection is its client's to notice.
            _ = &mut connection => return,
            () = last => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(REQUEST, connection).await;
    }

    async fn answer(&self, mut request: ::http::Request<Incoming>, via: Via) -> Result<Response, Infallible> {
        request.extensions_mut().insert(via);
        match tokio::time::timeout(REQUEST, self.service.call(request)).await {
            Ok(answer) => answer,
            Err(_) => Ok(Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response()),
        }
    }
}
