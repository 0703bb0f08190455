//! Parts of a request, refused with problem details where they are not what they should be.

use ::http::StatusCode;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::audit::Caller;
use crate::api::problem::Problem;

/// A body as JSON, asked for or given. What is asked with is an object.
pub struct Json<T>(pub T);

/// The names in a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The parameters behind a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

/// Whom the gate has let in.
pub type By = axum::Extension<Caller>;

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    /// By way of a map, since a struct could be written as a list of its fields too.
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
