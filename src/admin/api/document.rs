//! The OpenAPI document: the parts that all operations share, and the endpoint that serves it. The rest comes from types and
//! handlers.

use std::sync::Arc;

use ::http::header::CONTENT_TYPE;
use axum::Router;
use axum::routing::get;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, Info, License, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, Response, ResponseBuilder,
};

use crate::api::ROOT;
use crate::api::problem::{MEDIA_TYPE, Problem};
use crate::control::change::Control;

const DESCRIPTION: &str = "Reads and changes a running Burdock. The API is served on the Unix socket (admin.socket) to every user with \
access to it, and at the admin address to clients that send the token of admin.token_file. At the address, the Host header must be \
that address, and requests from web pages (with an Origin header) are refused.";

pub fn head() -> OpenApi {
    let license = License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = Info::builder()
        .title("Burdock's admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = ComponentsBuilder::new()
        .security_scheme("token", token)
        .response("Problem", problem())
        .schema_from::<Problem>()
        .build();
    let security = Some([SecurityRequirement::new("token", [""; 0])]);
    OpenApiBuilder::new().info(info).components(Some(components)).security(security).build()
}

fn problem() -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    ResponseBuilder::new().description("What went wrong").content(MEDIA_TYPE, Content::new(Some(schema))).build()
}

/// Adds the error responses to every operation.
pub fn complete(mut document: OpenApi) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            for class in ["4XX", "5XX"] {
                operation.responses.responses.insert(class.to_owned(), RefOr::Ref(Ref::from_response_name("Problem")));
            }
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// The document as text, as committed to the repository.
pub fn text(document: &OpenApi) -> String {
    document.to_pretty_json().map(|text| text + "\n").unwrap_or_default()
}

pub fn serve(document: &OpenApi) -> Router<Arc<Control>> {
    let text: Arc<str> = text(document).into();
    let answer = move || {
        let text = Arc::clone(&text);
        async move { ([(CONTENT_TYPE, "application/json")], text.to_string()) }
    };
    Router::new().route(&format!("{ROOT}/openapi.json"), get(answer))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_openapi_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let text = super::text(&super::super::router().1);
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == text, "docs/openapi.json is out of date: write it with UPDATE_OPENAPI=1");
    }
}
