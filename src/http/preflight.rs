//! CORS preflights: requests in which a browser asks whether it may send the real one. Which responses they must not change
//! is decided elsewhere.

use ::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use ::http::{HeaderMap, Method};

/// Whether this is a CORS preflight: a browser asks if it may send the real request (Fetch standard).
pub fn is_cors_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderValue;

    #[test]
    fn a_preflight_is_options_with_both_headers() {
        let mut asking = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("https://a"))]);
        assert!(!is_cors_preflight(&Method::OPTIONS, &asking));
        asking.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
        assert!(is_cors_preflight(&Method::OPTIONS, &asking));
        assert!(!is_cors_preflight(&Method::GET, &asking));
    }
}
