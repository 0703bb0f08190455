//! Where a request contains the name of a session, and which part of the text counts. This module finds text; the
//! caller interprets it.
//!
//! A [`Source`] is a value of the configuration. [`Source::bind`] makes a [`Reader`] of it, which reads requests.

pub mod bearer;
mod parameter;
mod reader;
mod response;
mod slice;

use std::net::IpAddr;

use ::http::HeaderName;
use ipnet::{Ipv4Net, Ipv6Net};

use crate::http::cookie::CookieName;

pub use crate::source::slice::{EmptySeparator, Separator, Slice};
pub use reader::{Found, Reader, Readers};
pub use response::{ResponsePlace, ResponseSource, SessionSignal};

/// A place in a request that names the client or its session, and which part of its text counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    pub place: Place,
    pub slice: Slice,
}

/// A place in a request. Names are case-sensitive, except those of headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// The bytes of the client's address, as reported by trusted proxies, with the bits after the prefix set to zero.
    ClientIp(Prefixes),
    Cookie(CookieName),
    Header(HeaderName),
    /// A parameter of the query. Its value is not percent-decoded.
    Query(String),
    /// A parameter of a path segment (RFC 3986 3.3), as in `/cart;jsessionid=1a2b`; not decoded.
    PathParameter(String),
    /// A claim of the client's JSON Web Token, which is not verified, so that any client can make it up. See
    /// [`bearer`].
    BearerClaim(String),
    /// The path as sent, without query and path parameters.
    Path,
    /// Several sources together: their texts are joined so that different texts never give the same result. Absent if
    /// one of them is.
    All(Vec<Source>),
}

/// How many bits of an address identify a client: all, unless a provider gives each client a network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefixes {
    pub v4: u8,
    pub v6: u8,
}

impl From<Place> for Source {
    /// The whole text of a place.
    fn from(place: Place) -> Self {
        Self { place, slice: Slice::default() }
    }
}

impl Source {
    /// Whether every request contains it.
    pub fn is_always_there(&self) -> bool {
        let whole = self.slice == Slice::default();
        match &self.place {
            Place::ClientIp(_) | Place::Path => whole,
            Place::All(parts) => whole && parts.iter().all(Self::is_always_there),
            Place::Cookie(_) | Place::Header(_) | Place::Query(_) | Place::PathParameter(_) | Place::BearerClaim(_) => false,
        }
    }
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { v4: 32, v6: 128 }
    }
}

impl Prefixes {
    /// The address with the bits after the prefix cleared. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts as
    /// IPv4.
    pub fn mask(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(v4) => Ipv4Net::new(v4, self.v4).map_or(v4, |net| net.network()).into(),
            IpAddr::V6(v6) => Ipv6Net::new(v6, self.v6).map_or(v6, |net| net.network()).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(v4: u8, v6: u8, address: &str) -> String {
        Prefixes { v4, v6 }.mask(address.parse().unwrap()).to_string()
    }

    #[test]
    fn an_address_counts_up_to_its_prefix() {
        assert_eq!(masked(24, 56, "192.0.2.77"), "192.0.2.0");
        assert_eq!(masked(24, 56, "2001:db8:1:2ff:3::4"), "2001:db8:1:200::");
        assert_eq!(masked(32, 128, "192.0.2.77"), "192.0.2.77");
        assert_eq!(masked(0, 0, "192.0.2.77"), "0.0.0.0");
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_ipv4() {
        assert_eq!(masked(24, 16, "::ffff:192.0.2.77"), "192.0.2.0");
    }

    proptest! {
        #[test]
        fn addresses_with_the_same_prefix_are_one_client(one: u32, other: u32, same in 0..=32_u8, v4 in 1..=32_u8) {
            let kept = u32::MAX.checked_shl(32 - u32::from(same)).unwrap_or(0);
            let other = one & kept | other & !kept;
            let mask = |bits: u32| Prefixes { v4, v6: 128 }.mask(IpAddr::V4(bits.into()));
            prop_assert_eq!(mask(one) == mask(other), (one ^ other).leading_zeros() >= u32::from(v4));
        }

        #[test]
        fn masking_gives_the_address_of_the_network(one: u128, v6: u8, v4: u8) {
            let address = IpAddr::V6(one.into());
            let masked = Prefixes { v4, v6 }.mask(address);
            prop_assert_eq!(Prefixes { v4, v6 }.mask(masked), masked);
            if let (IpAddr::V6(_), Ok(net)) = (masked, ipnet::IpNet::new(address, v6)) {
                prop_assert!(net.contains(&masked) && net.trunc().addr() == masked);
            }
        }
    }
}
