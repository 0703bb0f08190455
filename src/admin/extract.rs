//! Extractors for the parts of a request. Invalid parts are refused with problem details.

use ::http::StatusCode;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::audit::Caller;
use crate::api::problem::Problem;

/// A JSON body, of a request or a response. A request's body must be an object.
pub struct Json<T>(pub T);

/// The names in a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The parameters of a query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

/// The admitted caller.
pub type By = axum::Extension<Caller>;

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    /// Reads a map first: serde would also accept a list of a struct's fields.
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let axum::Json(map) = axum::Json::<Map<String, Value>>::from_request(request, state).await?;
        let value = serde_json::from_value(Value::Object(map));
        value.map(Self).map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        ([(::http::header::CACHE_CONTROL, "no-store")], axum::Json(self.0)).into_response()
    }
}
