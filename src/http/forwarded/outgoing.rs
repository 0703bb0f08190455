//! The headers that tell the server about the hop before this one.

use ::http::header::HOST;
use ::http::{HeaderMap, HeaderValue};

use super::{Forwarding, Peer, Style, X_FORWARDED_FOR, X_FORWARDED_PROTO, convert, hops, rfc7239, x_forwarded};
use crate::http::Scheme;
use crate::http::edits::Edits;

/// How a request reached this balancer.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    pub peer: &'a Peer,
    /// How the peer reached the listener.
    pub scheme: Scheme,
    pub headers: &'a HeaderMap,
}

/// From an untrusted peer all `X-Forwarded-*`, `Forwarded`, `X-Real-IP` and `Burdock-*` headers are removed before ours
/// are set. From a trusted one they are kept: X-Forwarded-For and Forwarded are extended, X-Forwarded-Proto is kept. If
/// only the other kind tells of earlier hops, they are carried over into ours; X-Forwarded-For and -Proto do not go on
/// beside a Forwarded that continues them.
/// Names with `_` in place of `-` are always removed, because many servers treat the two alike. A request that a proxy
/// relays, trusted or not, has its passes counted.
pub fn outgoing(hop: &Hop<'_>, forwarding: Forwarding<'_>, edits: &mut Edits) {
    let trusted = forwarding.trusted.trusts(hop.peer.address);
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
    match forwarding.style {
        Style::XForwarded => add_x_forwarded(edits, hop, earlier, Carried::default()),
        Style::Rfc7239 => {
            add_forwarded(edits, hop, earlier);
            earlier.remove_x_forwarded(edits);
        }
        Style::Both => {
            add_x_forwarded(edits, hop, earlier, earlier.carried());
            add_forwarded(edits, hop, earlier);
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

/// What goes on in X-Forwarded-* although only Forwarded says it.
#[derive(Default)]
struct Carried {
    hops: String,
    proto: Option<HeaderValue>,
}

impl Earlier<'_> {
    fn has(self, name: &str) -> bool {
        match self {
            Self::Kept(headers) => headers.contains_key(name),
            Self::Gone => false,
        }
    }

    /// The list of earlier hops with this one appended, in one line. `carried` are hops that the other kind of header names.
    fn extended(self, name: &str, carried: &str, ours: &HeaderValue) -> Option<HeaderValue> {
        let Self::Kept(headers) = self else { return Some(ours.clone()) };
        let lines = || {
            let kept = headers.get_all(name).iter().map(HeaderValue::as_bytes);
            kept.chain([carried.as_bytes(), ours.as_bytes()]).filter(|line| !line.is_empty())
        };
        let mut chain = Vec::with_capacity(lines().map(|line| line.len() + 2).sum());
        for line in lines() {
            if !chain.is_empty() {
                chain.extend_from_slice(b", ");
            }
            chain.extend_from_slice(line);
        }
        HeaderValue::try_from(chain).ok()
    }

    fn carried(self) -> Carried {
        let Self::Kept(headers) = self else { return Carried::default() };
        let has_hops = x_forwarded::hops(headers).next().is_some();
        Carried {
            hops: if has_hops { String::new() } else { convert::to_addresses(headers) },
            proto: convert::to_proto(headers),
        }
    }

    /// The hops of X-Forwarded-* as elements, if there is no Forwarded.
    fn carried_elements(self) -> String {
        match self {
            Self::Kept(headers) if rfc7239::elements(headers).next().is_none() => convert::to_elements(headers),
            Self::Kept(_) | Self::Gone => String::new(),
        }
    }

    /// X-Forwarded-Proto stays if it says what Forwarded does not.
    fn remove_x_forwarded(self, edits: &mut Edits) {
        let Self::Kept(headers) = self else { return };
        if headers.contains_key(&X_FORWARDED_FOR) {
            edits.remove(X_FORWARDED_FOR.clone());
        }
        let is_carried = rfc7239::elements(headers).next().is_none_or(|last| last.proto.is_some());
        if is_carried && headers.contains_key(&X_FORWARDED_PROTO) {
            edits.remove(X_FORWARDED_PROTO.clone());
        }
    }
}

fn add_x_forwarded(edits: &mut Edits, hop: &Hop<'_>, earlier: Earlier<'_>, carried: Carried) {
    const FOR: &str = "X-Forwarded-For";
    const PROTO: &str = "X-Forwarded-Proto";
    if let Some(line) = earlier.extended(FOR, &carried.hops, &hop.peer.text) {
        edits.set_as_written(FOR, line);
    }
    if !earlier.has(PROTO) {
        let ours = || HeaderValue::from_static(hop.scheme.as_str());
        edits.set_as_written(PROTO, carried.proto.unwrap_or_else(ours));
    }
}

fn add_forwarded(edits: &mut Edits, hop: &Hop<'_>, earlier: Earlier<'_>) {
    const FORWARDED: &str = "Forwarded";
    if let Some(line) = earlier.extended(FORWARDED, &earlier.carried_elements(), &forwarded_element(hop)) {
        edits.set_as_written(FORWARDED, line);
    }
}

/// `for=192.0.2.1;host="example.com:80";proto=https`. A host that is not valid in a header is left out.
fn forwarded_element(hop: &Hop<'_>) -> HeaderValue {
    let address = hop.peer.text.to_str().unwrap_or("unknown");
    let host = hop.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut element = String::with_capacity(64 + host.len());
    rfc7239::write_for(hop.peer.address, address, &mut element);
    if !host.is_empty() && !host.contains(|c: char| c.is_control()) {
        element.push_str(";host=");
        rfc7239::write_quoted(host, &mut element);
    }
    element.extend([";proto=", hop.scheme.as_str()]);
    HeaderValue::try_from(element).unwrap_or_else(|_| HeaderValue::from_static("for=unknown"))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderName;

    use super::super::TrustedProxies;
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
        let hop = Hop { peer: &peer, scheme: Scheme::Https, headers: &headers };
        outgoing(&hop, Forwarding { trusted: &trusted, style }, &mut edits);
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
