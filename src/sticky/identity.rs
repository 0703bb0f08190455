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

#[cfg(test)]
mod tests {
    use ::http::header::{COOKIE, HeaderValue};
    use ::http::{HeaderMap, Method};

    use super::*;
    use crate::http::request::Scheme;

    fn read(source: &Source) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=1; user=ann; empty="));
        headers.insert("x-user", HeaderValue::from_static("bob"));
        let query = Some("q=1&user=cid&empty=");
        let client = [192, 0, 2, 1].into();
        let (host, path, scheme) = ("shop", "/", Scheme::Http);
        let request = Request { method: &Method::GET, host, path, query, headers: &headers, client, scheme };
        source.read(&request).map(|name| String::from_utf8_lossy(&name).into_owned())
    }

    fn cookie(name: &str) -> Source {
        Source::Cookie(CookieName::parse(name).unwrap())
    }

    #[test]
    fn a_name_is_read_where_its_source_says() {
        assert_eq!(read(&cookie("user")).as_deref(), Some("ann"));
        assert_eq!(read(&Source::Header(HeaderName::from_static("x-user"))).as_deref(), Some("bob"));
        assert_eq!(read(&Source::Query("user".into())).as_deref(), Some("cid"));
        assert_eq!(read(&Source::ClientIp).map(|address| address.len()), Some("\u{fffd}\u{0}\u{2}\u{1}".len()));
    }

    #[test]
    fn what_is_absent_or_empty_is_no_name() {
        for source in [cookie("empty"), cookie("none"), Source::Query("empty".into()), Source::Query("use".into())] {
            assert_eq!(read(&source), None, "{source:?}");
        }
        assert_eq!(read(&Source::Header(HeaderName::from_static("x-none"))), None);
    }
}
