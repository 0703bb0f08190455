//! What a trusted peer says of earlier hops in headers of one kind, written in the other. It must not know who is trusted.

use std::net::IpAddr;

use ::http::{HeaderMap, HeaderValue};

use super::{is_uri_scheme, rfc7239, x_forwarded};

/// X-Forwarded-For and -Proto as elements of Forwarded; empty without these headers. X-Forwarded-Proto is the last element's, as it
/// tells how the peer was reached.
pub(super) fn to_elements(headers: &HeaderMap) -> String {
    let proto =
        x_forwarded::proto(headers).filter(|word| is_uri_scheme(word)).and_then(|word| std::str::from_utf8(word).ok());
    let mut elements: Vec<String> = x_forwarded::hops(headers).map(element).collect();
    if let Some(proto) = proto {
        if elements.is_empty() {
            elements.push(element(None));
        }
        elements[0].extend([";proto=", proto]);
    }
    elements.reverse();
    elements.join(", ")
}

fn element(hop: Option<IpAddr>) -> String {
    let mut element = String::new();
    match hop {
        Some(address) => rfc7239::write_for(address, &address.to_string(), &mut element),
        None => element.push_str("for=unknown"),
    }
    element
}

/// Forwarded as a list of X-Forwarded-For; empty without that header.
pub(super) fn to_addresses(headers: &HeaderMap) -> String {
    let text = |hop: Option<IpAddr>| hop.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let mut hops: Vec<String> = rfc7239::elements(headers).map(|element| text(element.hop)).collect();
    hops.reverse();
    hops.join(", ")
}

/// Forwarded as an X-Forwarded-Proto, if it tells how the peer was reached.
pub(super) fn to_proto(headers: &HeaderMap) -> Option<HeaderValue> {
    rfc7239::proto(headers).and_then(|word| HeaderValue::from_bytes(&word).ok())
}
