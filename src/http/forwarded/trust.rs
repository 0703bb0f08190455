//! Which peers are trusted, and what they say about the client.

use std::net::{IpAddr, SocketAddr};

use ::http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv4Net};

use super::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
use crate::http::Scheme;

/// The networks of the proxies before this one. None by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// IPv4-mapped IPv6 networks count as IPv4.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }

    /// IPv4-mapped IPv6 addresses count as IPv4.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    let v4 = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    v4.map_or(network, IpNet::V4)
}

/// The client: the rightmost address in X-Forwarded-For that is not a trusted proxy's. Reading starts with the peer and
/// goes on only while each hop is trusted. It stops at an entry that is not an address, and takes the hop before. If
/// all hops are trusted, the client is the leftmost.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusted.trusts(client) {
        return client;
    }
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev().map(HeaderValue::as_bytes);
    let hops = lines.flat_map(|line| line.rsplit(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    for hop in hops.filter(|hop| !hop.is_empty()) {
        let Some(address) = address_of(hop) else { break };
        client = address;
        if !trusted.trusts(client) {
            break;
        }
    }
    client
}

/// The client's scheme: the last entry of X-Forwarded-Proto, which is the peer's own, if the peer is trusted; otherwise
/// the scheme of the listener.
pub fn scheme(peer: IpAddr, listener: Scheme, headers: &HeaderMap, trusted: &TrustedProxies) -> Scheme {
    if !trusted.trusts(peer) {
        return listener;
    }
    let last = headers.get_all(&X_FORWARDED_PROTO).iter().next_back().map(HeaderValue::as_bytes);
    match last.and_then(|line| line.rsplit(|&byte| byte == b',').next()).map(<[u8]>::trim_ascii) {
        Some(word) if word.eq_ignore_ascii_case(b"https") => Scheme::Https,
        Some(word) if word.eq_ignore_ascii_case(b"http") => Scheme::Http,
        Some(_) | None => listener,
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address_of(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn inside() -> TrustedProxies {
        TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()])
    }

    fn client(peer: &str, lines: &[&str]) -> IpAddr {
        let headers = lines.iter().map(|line| (X_FORWARDED_FOR.clone(), HeaderValue::from_str(line).unwrap())).collect();
        client_address(ip(peer), &headers, &inside())
    }

    #[test]
    fn an_untrusted_peer_is_the_client() {
        assert_eq!(client("192.0.2.9", &["198.51.100.1"]), ip("192.0.2.9"));
        assert_eq!(client_address(ip("10.0.0.1"), &HeaderMap::new(), &TrustedProxies::default()), ip("10.0.0.1"));
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted_hop() {
        assert_eq!(client("10.0.0.1", &["203.0.113.7, 198.51.100.1, 10.0.0.2"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["203.0.113.7,198.51.100.1", "10.0.0.3", "10.0.0.2"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), ip("10.0.0.3"));
        assert_eq!(client("10.0.0.1", &[]), ip("10.0.0.1"));
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_search() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"]), ip("10.0.0.2"));
        assert_eq!(client("10.0.0.1", &["198.51.100.1:x"]), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", &["198.51.100.1, , 10.0.0.2,"]), ip("198.51.100.1"), "empty entries are skipped");
    }

    #[test]
    fn hops_may_have_ports_and_brackets() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1:4711"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["2001:db9::1"]), ip("2001:db9::1"));
        assert_eq!(client("10.0.0.1", &["[2001:db9::1]:80, [2001:db8::2]"]), ip("2001:db9::1"));
    }

    #[test]
    fn mapped_ipv4_is_ipv4() {
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), ip("198.51.100.1"));
        let mapped = TrustedProxies::new(vec!["::ffff:10.0.0.0/104".parse().unwrap()]);
        assert!(mapped.trusts(ip("10.1.2.3")) && mapped.trusts(ip("::ffff:10.1.2.3")));
        assert!(!mapped.trusts(ip("11.0.0.1")));
    }

    #[test]
    fn the_scheme_comes_from_a_trusted_peer_or_the_listener() {
        let says = |peer: &str, word: &'static str| {
            let headers = HeaderMap::from_iter([(X_FORWARDED_PROTO.clone(), HeaderValue::from_static(word))]);
            scheme(ip(peer), Scheme::Http, &headers, &inside())
        };
        assert_eq!(says("10.0.0.1", "HTTPS"), Scheme::Https);
        assert_eq!(says("10.0.0.1", "https, http"), Scheme::Http, "the client's own entry comes first");
        assert_eq!(says("10.0.0.1", "gopher"), Scheme::Http);
        assert_eq!(says("192.0.2.9", "https"), Scheme::Http);
    }

    proptest! {
        #[test]
        fn any_x_forwarded_for_can_be_parsed(bytes in proptest::collection::vec(32..=255u8, 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(X_FORWARDED_FOR.clone(), value)]);
                let _ = client_address(ip("10.0.0.1"), &headers, &inside());
            }
        }
    }
}
