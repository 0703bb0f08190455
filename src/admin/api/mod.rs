//! The API: one file per resource, and the OpenAPI document made from them.

mod change;
mod config;
mod document;
mod drains;
mod explain;
mod process;
mod servers;
mod sessions;
mod tables;
mod upstreams;
mod views;

use std::sync::Arc;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use document::serve as document;

use crate::api::ROOT;
use crate::control::change::Control;

/// The routes of all resources, and the document that describes them.
pub fn router() -> (Router<Arc<Control>>, OpenApi) {
    let resources = OpenApiRouter::new()
        .merge(process::router())
        .merge(config::router())
        .merge(upstreams::router())
        .merge(servers::router())
        .merge(drains::router())
        .merge(tables::router())
        .merge(sessions::router())
        .merge(explain::router());
    let (router, document) = OpenApiRouter::with_openapi(document::head()).nest(ROOT, resources).split_for_parts();
    (router, document::complete(document))
}
