//! Hop-by-hop headers: those that belong to one connection and must not be forwarded (RFC 9110 7.6.1). It names the headers;
//! the shell removes them. It knows nothing of how a message is framed or how large it is.

use ::http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::request::Response;

/// Header names, on the stack while there are few.
pub type Names = SmallVec<[HeaderName; 2]>;

/// The hop-by-hop headers of a server's response (RFC 9110 7.6.1): Keep-Alive, Proxy-Connection, Proxy-Authenticate and
/// those that Connection lists. Never those that frame the message, which the framework handles: Connection,
/// Transfer-Encoding, Content-Length, and the Upgrade of a 101 or 426. May contain a name twice.
pub fn hop_by_hop(response: &Response<'_>) -> Names {
    let mut names = Names::new();
    for (name, value) in response.headers {
        match name.as_str() {
            "keep-alive" | "proxy-connection" | "proxy-authenticate" => names.push(name.clone()),
            "connection" if !is_plain(value) => add_nominated(&mut names, value, response),
            _ => {}
        }
    }
    names
}

/// Adds the headers that a Connection header lists and the response has.
fn add_nominated(names: &mut Names, connection: &HeaderValue, response: &Response<'_>) {
    let upgraded = matches!(response.status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED);
    for option in connection.as_bytes().split(|&byte| byte == b',') {
        // Looked up as text first: most options name no header, and parsing them as a name would allocate.
        let text = std::str::from_utf8(option.trim_ascii()).unwrap_or_default();
        if !response.headers.contains_key(text) {
            continue;
        }
        let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else { continue };
        let framing = [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH].contains(&name) || (upgraded && name == UPGRADE);
        if !framing {
            names.push(name);
        }
    }
}

/// The hop-by-hop headers of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestHops {
    Nothing,
    /// Only a Connection header with `keep-alive` or `close`, as every browser sends it.
    Connection,
    /// Headers that take care to remove: other options, Upgrade, TE, Transfer-Encoding and the like.
    Something,
}

/// The hop-by-hop headers of requests, beside those that Connection names (RFC 9110 7.6.1).
pub const OF_REQUESTS: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Looks for hop-by-hop headers in a request (RFC 9110 7.6.1), in one pass. Most requests do not need the framework's
/// thorough removal, which looks ten names up in two maps.
pub fn request_hops(headers: &HeaderMap) -> RequestHops {
    let mut found = RequestHops::Nothing;
    for (name, value) in headers {
        match name.as_str() {
            "connection" if found == RequestHops::Nothing && is_plain(value) => found = RequestHops::Connection,
            name if OF_REQUESTS.contains(&name) => return RequestHops::Something,
            _ => {}
        }
    }
    found
}

fn is_plain(connection: &HeaderValue) -> bool {
    let option = connection.as_bytes();
    option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair =
            |&(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        lines.iter().map(pair).collect()
    }

    fn removed(status: StatusCode, lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let headers = headers(lines);
        hop_by_hop(&Response { status, headers: &headers }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_request_of_a_browser_needs_no_thorough_removal() {
        assert_eq!(request_hops(&headers(&[("host", "a"), ("accept", "*/*")])), RequestHops::Nothing);
        assert_eq!(request_hops(&headers(&[("host", "a"), ("connection", "Keep-Alive")])), RequestHops::Connection);
        assert_eq!(request_hops(&headers(&[("connection", "close")])), RequestHops::Connection);
    }

    #[test]
    fn any_other_hop_by_hop_header_needs_thorough_removal() {
        for line in
            [("connection", "close, x-a"), ("connection", ""), ("te", "trailers"), ("upgrade", "h2c"), ("trailer", "a")]
        {
            assert_eq!(request_hops(&headers(&[("host", "a"), line])), RequestHops::Something, "{line:?}");
        }
        let twice = headers(&[("connection", "close"), ("connection", "close")]);
        assert_eq!(request_hops(&twice), RequestHops::Something);
        assert_eq!(request_hops(&headers(&[("connection", "close"), ("keep-alive", "1")])), RequestHops::Something);
    }

    #[test]
    fn hop_by_hop_headers_and_those_in_connection_are_removed() {
        let lines = [
            ("connection", "close, X-Hop"),
            ("connection", "te,\tabsent, not a name"),
            ("x-hop", "1"),
            ("te", "gzip"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("proxy-authenticate", "Basic"),
            ("x-end", "1"),
        ];
        let expected = ["x-hop", "te", "keep-alive", "proxy-connection", "proxy-authenticate"];
        assert_eq!(removed(StatusCode::OK, &lines), expected);
    }

    #[test]
    fn a_plain_response_loses_nothing() {
        assert_eq!(removed(StatusCode::OK, &[("content-length", "1"), ("connection", "keep-alive")]), [""; 0]);
    }

    #[test]
    fn framing_headers_are_kept_even_if_connection_lists_them() {
        let lines = [
            ("connection", "upgrade, connection, transfer-encoding, content-length"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("content-length", "1"),
        ];
        assert_eq!(removed(StatusCode::SWITCHING_PROTOCOLS, &lines), [""; 0]);
        assert_eq!(removed(StatusCode::OK, &lines), ["upgrade"]);
    }
}
