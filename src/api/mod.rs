//! The JSON types of the admin API. The admin service writes them, `burdock ctl` reads them, and the OpenAPI document is made from
//! them. They hold text and numbers and know nothing of the service.

pub mod config;
pub mod drain;
pub mod explain;
pub mod explanation;
pub mod problem;
pub mod process;
pub mod server;
pub mod table;
pub mod upstream;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer};

/// The API's root path.
pub const ROOT: &str = "/api/v1";

/// Distinguishes a field that is null from one that is left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A path under the API's root, each part percent-encoded.
pub fn path(parts: &[&str]) -> String {
    let part = |part: &&str| utf8_percent_encode(part, &IN_PATHS).to_string();
    format!("{ROOT}/{}", parts.iter().map(part).collect::<Vec<_>>().join("/"))
}

/// All characters but the unreserved ones (RFC 3986 2.3).
const IN_PATHS: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
