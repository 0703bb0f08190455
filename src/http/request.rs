//! What the core sees of a request and of a response: borrowed views, made by the shell, that no framework type enters.

use std::net::IpAddr;

use ::http::{HeaderMap, Method, StatusCode};

/// How the client speaks to the edge.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A request as it arrived, its client and scheme found by [`forwarded`](super::forwarded).
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a Method,
    /// Of the Host header or `:authority`, as sent: lower-casing and the port are the route's business.
    pub host: &'a str,
    /// As sent: neither percent-decoded nor cleared of dot segments.
    pub path: &'a str,
    /// Without the `?`.
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub client: IpAddr,
    pub scheme: Scheme,
}

/// The head of a server's response.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
}
