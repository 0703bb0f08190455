//! The routes of the admin service.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;

use super::{api, auth, probes, problem};
use crate::control::change::Control;

/// Largest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// All routes, with [`auth`] in front of the API.
pub fn router(control: &Arc<Control>) -> Router {
    let (api, document) = api::router();
    let authorized = from_fn_with_state(Arc::clone(&control.state), auth::authorize);
    let restricted = api.merge(api::document(&document)).layer(DefaultBodyLimit::max(MAX_BODY)).layer(authorized);
    Router::new()
        .merge(probes::router())
        .merge(restricted)
        .with_state(Arc::clone(control))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
}
