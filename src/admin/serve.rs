//! One connection to the admin service, from either listener: HTTP/1.1 with timeouts, at one of the [`places`](super::places).

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

use crate::admin::auth::Via;
use crate::admin::places::{Place, Places};
use crate::admin::router;
use crate::api::problem::Problem;
use crate::control::change::Control;
use crate::runtime::warn_limit::WarnLimit;

/// Concurrent connections per listener.
const MAX_CONNECTIONS: usize = 256;
/// Time for a request's header block, and for an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a request, including its body and a long poll.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
/// Lifetime of a connection; it closes after the request in flight.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(600);

/// Serves connections.
#[derive(Clone)]
pub struct Admin {
    service: TowerToHyperService<Router>,
    places: Arc<Places>,
    control: Arc<Control>,
    warnings: Arc<WarnLimit>,
}

impl Admin {
    pub fn new(control: &Arc<Control>) -> Self {
        let service = TowerToHyperService::new(router::router(control));
        Self {
            service,
            places: Arc::new(Places::new(MAX_CONNECTIONS)),
            control: Arc::clone(control),
            warnings: Arc::default(),
        }
    }

    /// Serves a connection until it ends, or until `leaving` resolves and the request in flight is answered. A connection over the
    /// limit gets the place of a silent one; if there is none, it is closed.
    pub async fn serve<S>(&self, stream: S, via: Via, leaving: impl Future<Output = ()>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(place) = self.places.enter().await else { return self.warn() };
        let answer = hyper::service::service_fn(|request| self.answer(request, via, &place));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = std::pin::pin!(connection);
        let last = async {
            tokio::select! {
                () = leaving => {}
                () = tokio::time::sleep(CONNECTION_LIFETIME) => {}
            }
        };
        tokio::select! {
            // An error of the connection concerns only its client.
            _ = &mut connection => return,
            () = place.ended() => return self.warn(),
            () = last => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(REQUEST_TIMEOUT, connection).await;
    }

    fn warn(&self) {
        self.warnings.warn(self.control.state.serving.clock.uptime(), |left_out| {
            log::warn!(
                "admin service: closed a connection: limit of {MAX_CONNECTIONS} reached (connections closed since the last message: \
                 {left_out})"
            );
        });
    }

    async fn answer(&self, mut request: ::http::Request<Incoming>, via: Via, place: &Place) -> Result<Response, Infallible> {
        place.request_begun();
        request.extensions_mut().insert(via);
        let answer = match tokio::time::timeout(REQUEST_TIMEOUT, self.service.call(request)).await {
            Ok(answer) => answer,
            Err(_) => Ok(Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response()),
        };
        place.request_over();
        answer
    }
}
