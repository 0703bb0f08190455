//! What becomes of requests before servers see them and of responses before clients do: values only.

use ::http::HeaderValue;

use crate::http::request::Scheme;

/// Whether the Cookie header goes on as it came. Known when its claims are, so that it need not be walked again to find out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieHeader {
    AsIs,
    Edited,
}

/// What a response carries to the client of one entry.
#[derive(Clone, Debug)]
pub enum Carried {
    Token(String),
    /// The client is to forget the tie.
    Deletion,
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
