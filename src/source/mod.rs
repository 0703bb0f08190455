//! Where a session's name is read in a request, and what of the text found there counts. It finds text; what the text means
//! is the caller's.
//!
//! A [`Source`] is a value of the configuration. [`Source::bind`] makes the [`Reader`] of it, which requests are given to.

pub mod bearer;
mod parameter;
mod reader;
mod response;
mod slice;

use std::net::IpAddr;

use ::http::HeaderName;
use ipnet::{Ipv4Net, Ipv6Net};

use crate::http::cookie::CookieName;

pub use crate::source::slice::{Cut, EmptySeparator, Separator};
pub use reader::{Found, Reader, Readers};
pub use response::{ResponsePlace, ResponseSource, Said};

/// A place in a request that names the client or its session, and what of its text counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    pub place: Place,
    pub cut: Cut,
}

/// Where a text stands in a request. Names compare exactly, but for headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// The client's address, as the trusted proxies tell it: its octets, those behind the prefix zero.
    ClientIp(Prefixes),
    Cookie(CookieName),
    Header(HeaderName),
    /// A parameter of the query, its value as it stands there: percent-encoding is not undone.
    Query(String),
    /// A parameter of a path segment (RFC 3986 3.3), as in `/cart;jsessionid=1a2b`; its value as it stands there.
    PathParameter(String),
    /// A claim of the JSON Web Token that the client shows: read, not verified, so anybody can write one. See [`bearer`].
    BearerClaim(String),
    /// The path as it stands, without query and path parameters.
    Path,
    /// Several sources at once: their texts, joined so that other texts never give the same. Absent where one of them is.
    All(Vec<Source>),
}

/// How many bits of an address name a client: all of them, unless a provider gives each client a network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefixes {
    pub v4: u8,
    pub v6: u8,
}

impl From<Place> for Source {
    /// The whole text of a place.
    fn from(place: Place) -> Self {
        Self { place, cut: Cut::default() }
    }
}

impl Source {
    /// Whether every request has it.
    pub fn is_always_there(&self) -> bool {
        let whole = self.cut == Cut::default();
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
    /// The address with its bits behind the prefix cleared. An IPv4 address written as an IPv6 one (`::ffff:192.0.2.1`) is
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
    fn an_address_counts_as_far_as_its_prefix() {
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
        fn two_addresses_are_one_client_if_they_agree_in_the_prefix(one: u32, other: u32, same in 0..=32_u8, v4 in 1..=32_u8) {
            let kept = u32::MAX.checked_shl(32 - u32::from(same)).unwrap_or(0);
            let other = one & kept | other & !kept;
            let mask = |bits: u32| Prefixes { v4, v6: 128 }.mask(IpAddr::V4(bits.into()));
            prop_assert_eq!(mask(one) == mask(other), (one ^ other).leading_zeros() >= u32::from(v4));
        }

        #[test]
        fn a_network_holds_the_clients_that_its_address_stands_for(one: u128, v6: u8, v4: u8) {
            let address = IpAddr::V6(one.into());
            let masked = Prefixes { v4, v6 }.mask(address);
            prop_assert_eq!(Prefixes { v4, v6 }.mask(masked), masked);
            if let (IpAddr::V6(_), Ok(net)) = (masked, ipnet::IpNet::new(address, v6)) {
                prop_assert!(net.contains(&masked) && net.trunc().addr() == masked);
            }
        }
    }
}
