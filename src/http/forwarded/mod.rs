//! Who the client is behind other proxies, and which headers tell the server.
//!
//! A header is only as trustworthy as the peer that sent it. Headers about earlier hops are removed if the peer is not
//! a trusted proxy, since the client may have made them up. From a trusted proxy they are kept and extended.

mod hops;
mod outgoing;
mod trust;

pub use hops::is_looping;
pub use outgoing::{Hop, Style, outgoing};
pub use trust::{TrustedProxies, client_address, scheme};

use std::fmt::Write;
use std::net::IpAddr;

use ::http::header::{FORWARDED, VIA};
use ::http::{HeaderMap, HeaderName, HeaderValue};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of a client connection. Made once per connection, so that its address is formatted once.
#[derive(Clone, Debug)]
pub struct Peer {
    address: IpAddr,
    text: HeaderValue,
}

impl Peer {
    /// An IPv4-mapped IPv6 address counts as IPv4.
    pub fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, text: text_of(address) }
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }
}

/// Whether a proxy relays the request, trusted or not: then its connection carries many clients. A client can only claim it.
pub fn is_relayed(headers: &HeaderMap) -> bool {
    [&X_FORWARDED_FOR, &FORWARDED, &VIA].into_iter().any(|name| headers.contains_key(name))
}

/// An address as a header's value. Addresses are ASCII, so this never fails.
fn text_of(address: IpAddr) -> HeaderValue {
    let mut text = String::with_capacity(15);
    let _ = write!(text, "{address}");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
