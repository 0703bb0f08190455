//! The size of a request's header block. It counts; the limit and the answer to a request that exceeds it are the shell's.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// The size of a request's header block as HTTP/1.1 would send it, including request line and empty line, in bytes.
pub fn header_bytes(method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    const VERSION_AND_ENDS: usize = "  HTTP/1.1\r\n\r\n".len();
    let scheme = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + ": \r\n".len() + value.len();
    let fields: usize = headers.iter().map(line).sum();
    method.as_str().len() + scheme + authority + path + VERSION_AND_ENDS + fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_block_has_its_size_in_http_1() {
        let sent = "GET /a?b HTTP/1.1\r\nhost: x\r\na: bc\r\n\r\n";
        let headers = [("host", "x"), ("a", "bc")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        assert_eq!(header_bytes(&Method::GET, &Uri::from_static("/a?b"), &headers), sent.len());
        let absolute = "GET http://x/a?b HTTP/1.1\r\nhost: x\r\na: bc\r\n\r\n";
        assert_eq!(header_bytes(&Method::GET, &Uri::from_static("http://x/a?b"), &headers), absolute.len());
    }
}
