//! What becomes of requests before servers see them and of responses before clients do: values only.

use ::http::{HeaderName, HeaderValue};

use crate::http::cookie::Forwarded;
use crate::http::request::Scheme;

/// Whether the Cookie header goes on as it came. Known when its claims are, so that it need not be walked again to find out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieHeader {
    AsIs,
    Edited,
}

/// What is to be changed in a request before its server sees it.
#[derive(Debug)]
pub struct RequestEdits {
    pub cookie: Forwarded,
    pub remove: Vec<HeaderName>,
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// What a response carries to the client of one entry.
#[derive(Clone, Debug)]
pub enum Carried {
    Token(String),
    /// The client is to forget the tie.
    Deletion,
}

/// What is to be changed in a response because of its entries.
#[derive(Debug, Default)]
pub struct ResponseEdits {
    /// What the server's own Set-Cookie lines become where one of them is changed or dropped.
    pub server_cookies: Option<Vec<HeaderValue>>,
    /// Set-Cookie lines to add.
    pub cookies: Vec<HeaderValue>,
    pub remove: Vec<HeaderName>,
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// Who is to read the response.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'r> {
    pub scheme: Scheme,
    pub host: &'r str,
    pub origin: Origin,
}

/// Whether a request came from a page of another origin, as far as browsers say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    Other,
    Same,
}

/// What becomes of a line that the server sent.
#[derive(Debug)]
pub(crate) enum ServerLine {
    AsIs,
    Dropped,
    Replaced(HeaderValue),
}

impl ServerLine {
    /// A line that cannot be made passes as it is.
    pub(super) fn of(line: Option<HeaderValue>) -> Self {
        line.map_or(Self::AsIs, Self::Replaced)
    }
}
