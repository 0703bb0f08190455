//! Which peers are trusted, and what they say about the client.

use std::net::IpAddr;

use ::http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};

use super::{Style, rfc7239, x_forwarded};
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

/// How a listener deals with forwarding headers.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'l> {
    pub trusted: &'l TrustedProxies,
    pub style: Style,
}

impl Default for Forwarding<'_> {
    fn default() -> Self {
        Self { trusted: const { &TrustedProxies(Vec::new()) }, style: Style::default() }
    }
}

impl Forwarding<'_> {
    /// The client: the rightmost hop that is not a trusted proxy. Reading starts with the peer and goes on only while each hop is
    /// trusted. It stops at an entry that is not an address, and takes the hop before. If all hops are trusted, the client is the
    /// leftmost.
    pub fn client_address(self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusted.trusts(peer) {
            return peer;
        }
        match Source::of(headers, self.style) {
            Source::XForwarded => self.client_of(peer, x_forwarded::hops(headers)),
            Source::Forwarded => self.client_of(peer, rfc7239::elements(headers).map(|element| element.hop)),
        }
    }

    fn client_of(self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops {
            let Some(address) = hop else { break };
            client = address;
            if !self.trusted.trusts(client) {
                break;
            }
        }
        client
    }

    /// The client's scheme: what the peer says last, which is its own, if the peer is trusted; otherwise the scheme of the
    /// listener. A Forwarded without `proto` leaves it to X-Forwarded-Proto.
    pub fn scheme(self, peer: IpAddr, listener: Scheme, headers: &HeaderMap) -> Scheme {
        if !self.trusted.trusts(peer) {
            return listener;
        }
        let by_forwarded = match Source::of(headers, self.style) {
            Source::XForwarded => None,
            Source::Forwarded => rfc7239::proto(headers),
        };
        match by_forwarded.as_deref().or_else(|| x_forwarded::proto(headers)) {
            Some(word) if word.eq_ignore_ascii_case(b"https") => Scheme::Https,
            Some(word) if word.eq_ignore_ascii_case(b"http") => Scheme::Http,
            Some(_) | None => listener,
        }
    }
}

/// The headers that tell of a request's earlier hops.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    XForwarded,
    Forwarded,
}

impl Source {
    fn of(headers: &HeaderMap, style: Style) -> Self {
        match style {
            Style::Rfc7239 | Style::Both if rfc7239::elements(headers).next().is_some() => Self::Forwarded,
            Style::XForwarded | Style::Rfc7239 | Style::Both => Self::XForwarded,
        }
    }
}

#[cfg(test)]
mod tests {
    use ::http::header::FORWARDED;
    use ::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::super::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn inside() -> TrustedProxies {
        TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()])
    }

    fn named(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
    }

    fn client_by(style: Style, peer: &str, headers: &HeaderMap) -> IpAddr {
        Forwarding { trusted: &inside(), style }.client_address(ip(peer), headers)
    }

    fn client(peer: &str, lines: &[&str]) -> IpAddr {
        client_by(Style::XForwarded, peer, &named(&X_FORWARDED_FOR, lines))
    }

    fn scheme_by(style: Style, peer: &str, headers: &HeaderMap) -> Scheme {
        Forwarding { trusted: &inside(), style }.scheme(ip(peer), Scheme::Http, headers)
    }

    #[test]
    fn an_untrusted_peer_is_the_client() {
        assert_eq!(client("192.0.2.9", &["198.51.100.1"]), ip("192.0.2.9"));
        assert_eq!(Forwarding::default().client_address(ip("10.0.0.1"), &HeaderMap::new()), ip("10.0.0.1"));
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
        let says = |peer: &str, word: &str| scheme_by(Style::XForwarded, peer, &named(&X_FORWARDED_PROTO, &[word]));
        assert_eq!(says("10.0.0.1", "HTTPS"), Scheme::Https);
        assert_eq!(says("10.0.0.1", "https, http"), Scheme::Http, "the client's own entry comes first");
        assert_eq!(says("10.0.0.1", "gopher"), Scheme::Http);
        assert_eq!(says("192.0.2.9", "https"), Scheme::Http);
    }

    #[test]
    fn forwarded_counts_where_it_is_there_and_the_listener_reads_it() {
        let mut headers = named(&X_FORWARDED_FOR, &["198.51.100.1"]);
        headers.extend(named(&X_FORWARDED_PROTO, &["http"]));
        for style in [Style::XForwarded, Style::Rfc7239, Style::Both] {
            assert_eq!(client_by(style, "10.0.0.1", &headers), ip("198.51.100.1"), "{style:?}");
        }
        headers.extend(named(&FORWARDED, &["for=203.0.113.7;proto=http", "for=10.0.0.2;proto=https"]));
        for style in [Style::Rfc7239, Style::Both] {
            assert_eq!(client_by(style, "10.0.0.1", &headers), ip("203.0.113.7"), "{style:?}");
            assert_eq!(client_by(style, "192.0.2.9", &headers), ip("192.0.2.9"), "{style:?}");
            assert_eq!(scheme_by(style, "10.0.0.1", &headers), Scheme::Https, "{style:?}");
            assert_eq!(scheme_by(style, "192.0.2.9", &headers), Scheme::Http, "{style:?}");
        }
        assert_eq!(client_by(Style::XForwarded, "10.0.0.1", &headers), ip("198.51.100.1"));
        assert_eq!(scheme_by(Style::XForwarded, "10.0.0.1", &headers), Scheme::Http);
    }

    #[test]
    fn a_malformed_element_ends_the_search_and_an_empty_header_is_none() {
        let client = |line: &str| {
            let mut headers = named(&X_FORWARDED_FOR, &["198.51.100.1"]);
            headers.extend(named(&FORWARDED, &[line]));
            client_by(Style::Rfc7239, "10.0.0.1", &headers)
        };
        assert_eq!(client("for=203.0.113.7, for=\"10.0.0.2"), ip("10.0.0.1"));
        assert_eq!(client("for=203.0.113.7, for=_hidden, for=10.0.0.2"), ip("10.0.0.2"));
        assert_eq!(client("for=\", for=203.0.113.7, for=10.0.0.2"), ip("203.0.113.7"), "a client left a quote open");
        assert_eq!(client(" , "), ip("198.51.100.1"));
    }

    #[test]
    fn a_forwarded_without_proto_leaves_the_scheme_to_x_forwarded_proto() {
        let mut headers = named(&FORWARDED, &["for=203.0.113.7"]);
        headers.extend(named(&X_FORWARDED_PROTO, &["https"]));
        assert_eq!(scheme_by(Style::Both, "10.0.0.1", &headers), Scheme::Https);
    }

    proptest! {
        #[test]
        fn both_kinds_name_the_same_client(hops in prop::collection::vec((1..4u8).prop_map(|n| match n {
            1 => "10.0.0.2",
            2 => "198.51.100.1",
            _ => "unknown",
        }), 0..5)) {
            let elements: Vec<_> = hops.iter().map(|hop| format!("for={hop}")).collect();
            prop_assert_eq!(
                client_by(Style::Rfc7239, "10.0.0.1", &named(&FORWARDED, &[&elements.join(",")])),
                client("10.0.0.1", &[&hops.join(", ")])
            );
        }

        #[test]
        fn any_x_forwarded_for_can_be_parsed(bytes in proptest::collection::vec(32..=255u8, 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(X_FORWARDED_FOR.clone(), value)]);
                let _ = client_by(Style::XForwarded, "10.0.0.1", &headers);
            }
        }
    }
}
