//! The admin service. `/healthz`, `/readyz` and `/metrics` are for everybody who reaches it. What reads or changes the process
//! itself, the API, is for those who come by the Unix socket and, where there is a token, for those who bring it to the address.
//!
//! Connections come from two doors ([`tcp`], [`socket`]) into one place ([`serve`]); [`gate`] decides who is let in.

mod api;
mod audit;
mod auth;
mod bearer;
mod extract;
mod probes;
mod problem;
mod serve;
mod tcp_listener;
mod unix_listener;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;

pub use crate::admin::bearer::{Access, TokenError};
pub use crate::admin::tcp_listener::TcpDoor;
pub use crate::admin::unix_listener::{Socket, SocketError, SocketService};
pub use serve::Admin;

use super::control::Control;

/// Octets of a request's body.
const LARGEST_BODY: usize = 64 * 1024;

/// All that is served, with the gate before what is not for everybody.
fn router(control: &Arc<Control>) -> Router {
    let (api, document) = api::router();
    let gate = from_fn_with_state(Arc::clone(&control.state), auth::gate);
    let gated = api.merge(api::document(&document)).layer(DefaultBodyLimit::max(LARGEST_BODY)).layer(gate);
    Router::new()
        .merge(probes::router())
        .merge(gated)
        .with_state(Arc::clone(control))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
}
