//! Errors, as problem details (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of problem details.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status gives the kind of the problem.
    #[serde(rename = "type", default = "blank")]
    #[schema(examples("about:blank"))]
    pub kind: String,
    /// The name of the status.
    pub title: String,
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What went wrong, and how to fix it.
    pub detail: String,
    /// Errors of single fields, if known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// An error of one field of a request, or at one position in the configuration file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's path; for the file, line and column.
    pub at: String,
    pub detail: String,
}

fn blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    pub fn new(status: http::StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { kind: blank(), title, status: status.as_u16(), detail: detail.into(), errors: Vec::new() }
    }
}
