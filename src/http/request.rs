//! The core's view of a request and of a response: borrowed values without any framework type, made by the shell.

use std::net::IpAddr;

use ::http::{HeaderMap, Method, StatusCode};

/// The scheme by which the client reached the listener.
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

/// A request as received, with the client and scheme that [`forwarded`](super::forwarded) found.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a Method,
    /// From the Host header or `:authority`, as sent: in any case and with a port, which the route ignores.
    pub host: &'a str,
    /// As sent: not percent-decoded, with any dot segments.
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
