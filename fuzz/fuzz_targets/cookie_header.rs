//! Reading and editing Cookie headers is total, and what is forwarded holds nothing of ours.
#![no_main]

use burdock::http::cookie::{CookieName, Forwarded, forward, values};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: Vec<Vec<u8>>| {
    let name = CookieName::parse("BURDOCK_shop").expect("a name");
    let mut headers = HeaderMap::new();
    for line in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(COOKIE, line);
    }
    let _ = values(&headers, &name).count();
    match forward(&headers, std::slice::from_ref(&name)) {
        Forwarded::AsIs => assert_eq!(values(&headers, &name).count(), 0),
        Forwarded::Nothing => {}
        Forwarded::Replaced(line) => {
            let mut forwarded = HeaderMap::new();
            forwarded.insert(COOKIE, line);
            assert_eq!(values(&forwarded, &name).count(), 0);
        }
    }
});
