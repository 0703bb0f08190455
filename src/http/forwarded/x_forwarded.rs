//! X-Forwarded-For and X-Forwarded-Proto as bytes, read from the right. It must not know who is trusted.

use std::net::IpAddr;

use ::http::{HeaderMap, HeaderValue};

use super::{X_FORWARDED_FOR, X_FORWARDED_PROTO, address_of};

/// The hops, from the last to the first. None: an entry that is no address.
pub(super) fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev().map(HeaderValue::as_bytes);
    let entries = lines.flat_map(|line| line.rsplit(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    entries.filter(|entry| !entry.is_empty()).map(address_of)
}

/// The last entry of X-Forwarded-Proto, which is the peer's own.
pub(super) fn proto(headers: &HeaderMap) -> Option<&[u8]> {
    let last = headers.get_all(&X_FORWARDED_PROTO).iter().next_back()?.as_bytes();
    last.rsplit(|&byte| byte == b',').next().map(<[u8]>::trim_ascii)
}
