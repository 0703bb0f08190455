//! Where a session's name is read in a request: client address, cookie, header or query parameter. It finds text; what the
//! text means is the caller's.

use std::borrow::Cow;
use std::net::IpAddr;

use ::http::HeaderName;

use crate::http::cookie::{self, CookieName};
use crate::http::request::Request;

/// A place in a request that names the client or its session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// The client's address, as the trusted proxies tell it.
    ClientIp,
    Cookie(CookieName),
    Header(HeaderName),
    Query(String),
}

impl Source {
    /// What stands there. None where nothing does or it is empty, so that such clients do not share one name.
    pub fn read<'r>(&self, request: &Request<'r>) -> Option<Cow<'r, [u8]>> {
        let found = match self {
            Self::ClientIp => Some(address(request.client)),
            Self::Cookie(name) => cookie::values(request.headers, name).next().map(|value| Cow::Owned(value.to_vec())),
            Self::Header(name) => request.headers.get(name).map(|value| Cow::Borrowed(value.as_bytes())),
            Self::Query(name) => parameter(request.query?, name).map(|value| Cow::Borrowed(value.as_bytes())),
        };
        found.filter(|name| !name.is_empty())
    }
}

fn address<'r>(client: IpAddr) -> Cow<'r, [u8]> {
    match client {
        IpAddr::V4(v4) => Cow::Owned(v4.octets().to_vec()),
        IpAddr::V6(v6) => Cow::Owned(v6.octets().to_vec()),
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
