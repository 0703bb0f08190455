//! A request and a response as the steps see them, whichever engine has read them: borrowed values, no engine's own type.

use ::http::{HeaderMap, Method, StatusCode, Version};

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    pub method: &'a Method,
    /// The requested host: Host, or the authority of an absolute target.
    pub host: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

/// A response's head.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    pub status: StatusCode,
    pub version: Version,
    pub headers: &'a HeaderMap,
}

/// What a request wants of its connection to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wants {
    Response,
    /// Another protocol.
    Upgrade,
}

/// What becomes of a client's connection after a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum After {
    Kept,
    Closed,
}

/// What a request has come to when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Of the response that was written; none if there was none.
    pub status: Option<StatusCode>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}
