//! How requests are edited before servers see them, and responses before clients do: values only.

use ::http::HeaderValue;

use crate::http::request::Scheme;
use crate::time::Now;

/// Whether the Cookie header is forwarded unchanged. This is decided when its claims are read, so that it is not walked
/// again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieHeader {
    AsIs,
    Edited,
}

/// What a response carries to the client for one entry.
#[derive(Clone, Debug)]
pub enum Carried {
    Token(String),
    /// Makes the client forget the tie.
    Deletion,
}

/// The client that reads the response, and when.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'r> {
    pub scheme: Scheme,
    pub host: &'r str,
    pub origin: Origin,
    pub now: Now,
}

/// Whether a page of another origin sent the request, according to the browser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    Other,
    Same,
}

/// A Set-Cookie line of the server after editing.
#[derive(Debug)]
pub(crate) enum ServerLine {
    AsIs,
    Dropped,
    Replaced(HeaderValue),
}

impl ServerLine {
    /// The new line, or the old one if the new one is not valid.
    pub(super) fn of(line: Option<HeaderValue>) -> Self {
        line.map_or(Self::AsIs, Self::Replaced)
    }
}
