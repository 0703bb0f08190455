//! Who the client is behind other proxies, and which headers tell the server.
//!
//! A header is only as trustworthy as the peer that sent it. Headers about earlier hops are removed if the peer is not
//! a trusted proxy, since the client may have made them up. From a trusted proxy they are kept and extended.

mod convert;
mod hops;
mod outgoing;
mod rfc7239;
#[cfg(test)]
mod tests;
mod trust;
mod x_forwarded;

pub use hops::is_looping;
pub use outgoing::{Hop, outgoing};
pub use trust::{Forwarding, TrustedProxies};

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use ::http::header::{FORWARDED, VIA};
use ::http::{HeaderMap, HeaderName, HeaderValue};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Which headers tell the server about the client, and which of a trusted peer's tell Burdock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Style {
    /// X-Forwarded-For and X-Forwarded-Proto. Host reaches the server as the client sent it.
    #[default]
    XForwarded,
    /// Forwarded, by RFC 7239. X-Forwarded-* count where there is no Forwarded, and go on as Forwarded.
    Rfc7239,
    /// Both kinds. Forwarded counts where it is there; what only one kind says goes on in both.
    Both,
}

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

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address_of(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

/// RFC 3986 3.1.
fn is_uri_scheme(word: &[u8]) -> bool {
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    word.first().is_some_and(u8::is_ascii_alphabetic) && word.iter().all(is_inside)
}
