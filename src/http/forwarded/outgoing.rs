//! The headers that tell the server about the hop before this one.

use std::net::IpAddr;

use ::http::header::HOST;
use ::http::{HeaderMap, HeaderValue};

use super::{Peer, TrustedProxies, hops};
use crate::http::Scheme;
use crate::http::edits::Edits;

/// Which headers tell the server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Style {
    /// X-Forwarded-For and X-Forwarded-Proto. Host reaches the server as the client sent it.
    #[default]
    XForwarded,
    /// Forwarded, by RFC 7239.
    Rfc7239,
    Both,
}

/// How a request reached this balancer.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    pub peer: &'a Peer,
    /// How the peer reached the listener.
    pub scheme: Scheme,
    pub headers: &'a HeaderMap,
}

/// From an untrusted peer all `X-Forwarded-*`, `Forwarded`, `X-Real-IP` and `Burdock-*` headers are removed before ours
/// are set. From a trusted one they are kept: X-Forwarded-For and Forwarded are extended, X-Forwarded-Proto is kept.
/// Names with `_` in place of `-` are always removed, because many servers treat the two alike. A request that a proxy
/// relays, trusted or not, has its passes counted.
pub fn outgoing(hop: &Hop<'_>, trusted: &TrustedProxies, style: Style, edits: &mut Edits) {
    let trusted = trusted.trusts(hop.peer.address);
    let mut is_relayed = false;
    for name in hop.headers.keys().filter(|name| describes_hops(name.as_str())) {
        is_relayed = true;
        if !trusted || name.as_str().contains('_') {
            edits.remove(name.clone());
        }
    }
    if is_relayed {
        hops::count(hop.headers, edits);
    }
    let earlier = if trusted { Earlier::Kept(hop.headers) } else { Earlier::Gone };
    if style != Style::Rfc7239 {
        add_x_forwarded(edits, hop, earlier);
    }
    if style != Style::XForwarded {
        let element = forwarded_element(hop);
        if let Some(line) = earlier.extended("Forwarded", &element) {
            edits.set_as_written("Forwarded", line);
        }
    }
}

/// Cheap: for nearly every name one or two bytes decide.
fn describes_hops(name: &str) -> bool {
    match name.as_bytes() {
        [b'x', b'-' | b'_', rest @ ..] => {
            starts_with(rest, b"forwarded") || (starts_with(rest, b"real-ip") && rest.len() == 7)
        }
        [b'f', ..] => name == "forwarded",
        [b'b', rest @ ..] => starts_with(rest, b"urdock-"),
        _ => false,
    }
}

/// Treats `_` like `-`.
fn starts_with(name: &[u8], start: &[u8]) -> bool {
    let same = |(&found, &wanted): (&u8, &u8)| found == wanted || (wanted == b'-' && found == b'_');
    name.len() >= start.len() && name.iter().zip(start).all(same)
}

/// The headers of earlier hops.
#[derive(Clone, Copy)]
enum Earlier<'a> {
    Kept(&'a HeaderMap),
    Gone,
}

impl Earlier<'_> {
    fn has(self, name: &str) -> bool {
        match self {
            Self::Kept(headers) => headers.contains_key(name),
            Self::Gone => false,
        }
    }

    /// The list of earlier hops with this one appended, in one line.
    fn extended(self, name: &str, ours: &HeaderValue) -> Option<HeaderValue> {
        let Self::Kept(headers) = self else { return Some(ours.clone()) };
        let lines = || headers.get_all(name).iter().chain([ours]).map(HeaderValue::as_bytes).filter(|line| !line.is_empty());
        let mut chain = Vec::with_capacity(lines().map(|line| line.len() + 2).sum());
        for line in lines() {
            if !chain.is_empty() {
                chain.extend_from_slice(b", ");
            }
            chain.extend_from_slice(line);
        }
        HeaderValue::try_from(chain).ok()
    }
}

fn add_x_forwarded(edits: &mut Edits, hop: &Hop<'_>, earlier: Earlier<'_>) {
    const FOR: &str = "X-Forwarded-For";
    const PROTO: &str = "X-Forwarded-Proto";
    if let Some(line) = earlier.extended(FOR, &hop.peer.text) {
        edits.set_as_written(FOR, line);
    }
    if !earlier.has(PROTO) {
        edits.set_as_written(PROTO, HeaderValue::from_static(hop.scheme.as_str()));
    }
}

/// `for=192.0.2.1;host="example.com:80";proto=https`. A host that is not valid in a header is left out.
fn forwarded_element(hop: &Hop<'_>) -> HeaderValue {
    let address = hop.peer.text.to_str().unwrap_or("unknown");
    let host = hop.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut element = String::with_capacity(64 + host.len());
    match hop.peer.address {
        IpAddr::V4(_) => element.extend(["for=", address]),
        IpAddr::V6(_) => element.extend(["for=\"[", address, "]\""]),
    }
    if !host.is_empty() && !host.contains(|c: char| c.is_control()) {
        element.push_str(";host=\"");
        for character in host.chars() {
            if matches!(character, '"' | '\\') {
                element.push('\\');
            }
            element.push(character);
        }
        element.push('"');
    }
    element.extend([";proto=", hop.scheme.as_str()]);
    HeaderValue::try_from(element).unwrap_or_else(|_| HeaderValue::from_static("for=unknown"))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderName;

    use super::*;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn headers(lines: Lines<'_>) -> HeaderMap {
        let pair =
            |&(name, value): &(&str, &str)| (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
        lines.iter().map(pair).collect()
    }

    /// The headers after the edits, as the server sees them, without Host.
    fn sent(peer: &str, style: Style, lines: Lines<'_>) -> Vec<String> {
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = headers(lines);
        let peer = Peer::new(peer.parse().unwrap());
        headers.insert(HOST, HeaderValue::from_static("Example.com:80"));
        let mut edits = Edits::default();
        outgoing(&Hop { peer: &peer, scheme: Scheme::Https, headers: &headers }, &trusted, style, &mut edits);
        headers.remove(HOST);
        edits.apply(&mut headers).unwrap();
        let mut sent: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        sent.sort();
        sent
    }

    const SPOOFED: Lines<'_> = &[
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "spoofed"),
        ("x-forwarded-port", "1"),
        ("x_forwarded_for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-real_ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("burdock-session", "1"),
        ("x-realm", "kept"),
        ("from", "kept"),
        ("x-real-ip-2", "kept"),
    ];

    #[test]
    fn headers_of_an_untrusted_peer_are_replaced() {
        let expected = [
            "burdock-hops: 1",
            "from: kept",
            "x-forwarded-for: 192.0.2.9",
            "x-forwarded-proto: https",
            "x-real-ip-2: kept",
            "x-realm: kept",
        ];
        assert_eq!(sent("192.0.2.9", Style::XForwarded, SPOOFED), expected);
    }

    #[test]
    fn headers_of_a_trusted_peer_are_kept_and_extended() {
        let expected = [
            "burdock-hops: 1",
            "burdock-session: 1",
            "forwarded: for=127.0.0.1",
            "from: kept",
            "x-forwarded-for: 127.0.0.1, 203.0.113.7, 10.0.0.1",
            "x-forwarded-host: spoofed",
            "x-forwarded-port: 1",
            "x-forwarded-proto: http",
            "x-real-ip-2: kept",
            "x-real-ip: 127.0.0.1",
            "x-realm: kept",
        ];
        assert_eq!(sent("10.0.0.1", Style::XForwarded, SPOOFED), expected);
    }

    #[test]
    fn a_trusted_peer_without_headers_is_reported_like_any_other() {
        let expected = ["x-forwarded-for: 10.0.0.1", "x-forwarded-proto: https"];
        assert_eq!(sent("10.0.0.1", Style::XForwarded, &[]), expected);
    }

    #[test]
    fn rfc_7239_headers_are_set_and_extended_on_request() {
        let ours = "for=10.0.0.1;host=\"Example.com:80\";proto=https";
        assert_eq!(sent("10.0.0.1", Style::Rfc7239, &[]), [format!("forwarded: {ours}")]);
        let continued = ["burdock-hops: 1".to_owned(), format!("forwarded: for=a, for=b, {ours}")];
        assert_eq!(sent("10.0.0.1", Style::Rfc7239, &[("forwarded", "for=a"), ("forwarded", "for=b")]), continued);
        let v6 = "forwarded: for=\"[2001:db8::1]\";host=\"Example.com:80\";proto=https";
        assert_eq!(sent("2001:db8::1", Style::Rfc7239, SPOOFED)[1], v6);
        assert_eq!(sent("192.0.2.9", Style::Both, &[]).len(), 3);
    }

    #[test]
    fn a_host_cannot_break_out_of_its_quotes() {
        let peer = Peer::new("192.0.2.9".parse().unwrap());
        let element = |host: &[u8]| {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_bytes(host).unwrap())]);
            let hop = Hop { peer: &peer, scheme: Scheme::Http, headers: &headers };
            forwarded_element(&hop).to_str().unwrap().to_owned()
        };
        assert_eq!(element(b"a\";for=\\"), "for=192.0.2.9;host=\"a\\\";for=\\\\\";proto=http");
        assert_eq!(element(b"a\xffb"), "for=192.0.2.9;proto=http");
        assert_eq!(element(b""), "for=192.0.2.9;proto=http");
    }
}
