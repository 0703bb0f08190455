//! What a server learns of the client, and what the next balancer would, in each style.

use ::http::header::FORWARDED;
use ::http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::http::Scheme;
use crate::http::edits::Edits;

const STYLES: [Style; 3] = [Style::XForwarded, Style::Rfc7239, Style::Both];

/// Values of Forwarded, X-Forwarded-For and X-Forwarded-Proto, without those that are missing.
type Said = [Option<&'static str>; 3];

fn headers(said: Said) -> HeaderMap {
    let names = [FORWARDED, X_FORWARDED_FOR.clone(), X_FORWARDED_PROTO.clone()];
    names.into_iter().zip(said).filter_map(|(name, value)| Some((name, HeaderValue::from_static(value?)))).collect()
}

fn trusted() -> TrustedProxies {
    TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The headers as they go on.
fn sent(style: Style, peer: &str, said: Said) -> HeaderMap {
    let (mut headers, trusted, peer) = (headers(said), trusted(), Peer::new(ip(peer)));
    let mut edits = Edits::default();
    let hop = Hop { peer: &peer, scheme: Scheme::Http, headers: &headers };
    outgoing(&hop, Forwarding { trusted: &trusted, style }, &mut edits);
    edits.apply(&mut headers).unwrap();
    headers
}

/// Forwarded, X-Forwarded-For and X-Forwarded-Proto as a trusted peer's go on.
fn goes_on(style: Style, said: Said) -> [String; 3] {
    let headers = sent(style, "10.0.0.1", said);
    ["forwarded", "x-forwarded-for", "x-forwarded-proto"]
        .map(|name| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(" | "))
}

#[test]
fn forwarded_alone_goes_on_in_both_kinds() {
    let ours = "for=10.0.0.1;proto=http";
    let said = "for=\"[2001:db8::7]:80\";proto=HTTPS";
    assert_eq!(goes_on(Style::Rfc7239, [Some(said), None, None]), [&*format!("{said}, {ours}"), "", ""]);
    let both = |said| goes_on(Style::Both, [Some(said), None, None]);
    assert_eq!(both(said), [&*format!("{said}, {ours}"), "2001:db8::7, 10.0.0.1", "HTTPS"]);
    let chain = "for=192.0.2.7;proto=https, for=_b;proto=\"a b\"";
    assert_eq!(both(chain), [&*format!("{chain}, {ours}"), "192.0.2.7, unknown, 10.0.0.1", "http"]);
}

#[test]
fn x_forwarded_alone_goes_on_as_elements() {
    let ours = "for=10.0.0.1;proto=http";
    for (hops, proto, elements) in [
        (Some("192.0.2.7"), Some("https"), "for=192.0.2.7;proto=https, "),
        (Some("192.0.2.7, 10.0.0.2:80"), Some("http, https"), "for=192.0.2.7, for=10.0.0.2;proto=https, "),
        (Some("2001:db8::7,,x\""), None, "for=\"[2001:db8::7]\", for=unknown, "),
        (Some("192.0.2.7"), Some("a b"), "for=192.0.2.7, "),
        (None, Some("https"), "for=unknown;proto=https, "),
        (None, None, ""),
    ] {
        let line = format!("{elements}{ours}");
        assert_eq!(goes_on(Style::Rfc7239, [None, hops, proto]), [&*line, "", ""]);
        assert_eq!(goes_on(Style::Rfc7239, [Some(" , "), hops, proto])[1..], ["", ""], "an empty header is none");
        let [forwarded, addresses, kept] = goes_on(Style::Both, [None, hops, proto]);
        assert_eq!(forwarded, line);
        assert_eq!(addresses, hops.map_or_else(|| "10.0.0.1".to_owned(), |hops| format!("{hops}, 10.0.0.1")));
        assert_eq!(kept, proto.unwrap_or("http"));
    }
}

#[test]
fn of_both_kinds_each_goes_on_where_it_is_asked_for() {
    let said = [Some("for=192.0.2.7;proto=https"), Some("192.0.2.8"), Some("http")];
    let line = "for=192.0.2.7;proto=https, for=10.0.0.1;proto=http";
    assert_eq!(goes_on(Style::Rfc7239, said), [line, "", ""]);
    assert_eq!(goes_on(Style::Both, said), [line, "192.0.2.8, 10.0.0.1", "http"]);
    assert_eq!(goes_on(Style::XForwarded, said), ["for=192.0.2.7;proto=https", "192.0.2.8, 10.0.0.1", "http"]);
    let without = [Some("for=192.0.2.7"), Some("192.0.2.8"), Some("https")];
    assert_eq!(goes_on(Style::Rfc7239, without), ["for=192.0.2.7, for=10.0.0.1;proto=http", "", "https"], "said only there");
}

#[test]
fn an_untrusted_peer_says_nothing_in_any_style() {
    let said = [Some("for=6.6.6.6;proto=https"), Some("6.6.6.6"), Some("https")];
    for style in STYLES {
        let headers = sent(style, "192.0.2.9", said);
        assert!(headers.values().all(|value| !value.to_str().unwrap().contains("6.6.6.6")), "{style:?}: {headers:?}");
        assert!(headers.values().all(|value| !value.to_str().unwrap().contains("https")), "{style:?}: {headers:?}");
    }
}

fn any_said() -> impl Strategy<Value = Said> {
    let forwarded = [
        "",
        "for=192.0.2.7;proto=https",
        "for=10.0.0.2",
        "for=192.0.2.7, for=_x;proto=http, for=\"[::1]:80\";proto=https",
        "for=192.0.2.7, for=\"10.0.0.2:_p\", for=10.0.0.3;proto=ftp",
        "for=\", for=192.0.2.7;host=\"a,b\", for=10.0.0.2",
        "proto=https",
        ",;,",
        "for=192.0.2.7;proto=https;",
    ];
    let addresses =
        ["", "192.0.2.8", "192.0.2.8, 10.0.0.2", "192.0.2.8, unknown, 10.0.0.2:80", "10.0.0.3,,[::1]:80", "a\"b"];
    let protos = ["", "http", "https", "http, https", "a\"b"];
    let one = |of: Vec<&'static str>| prop::option::of(prop::sample::select(of));
    (one(forwarded.to_vec()), one(addresses.to_vec()), one(protos.to_vec())).prop_map(|(a, b, c)| [a, b, c])
}

proptest! {
    #[test]
    fn the_next_balancer_finds_the_same_client(said in any_said(), peer in prop::sample::select(vec!["10.0.0.1", "192.0.2.9"])) {
        let (trusted, received) = (trusted(), headers(said));
        let one_kind = said[0].is_none() || said[1..] == [None, None];
        for style in STYLES {
            let first = Forwarding { trusted: &trusted, style };
            let (client, scheme) = (
                first.client_address(ip(peer), &received),
                first.scheme(ip(peer), Scheme::Http, &received),
            );
            let sent = sent(style, peer, said);
            for next in STYLES {
                let reads = match style {
                    Style::XForwarded => next == style,
                    Style::Rfc7239 => next != Style::XForwarded,
                    Style::Both => next != Style::XForwarded || one_kind,
                };
                let behind = Forwarding { trusted: &trusted, style: next };
                if reads {
                    prop_assert_eq!(behind.client_address(ip("10.0.0.9"), &sent), client, "{:?} {:?} {:?}", style, next, &sent);
                }
                if reads && next == Style::XForwarded {
                    prop_assert_eq!(behind.scheme(ip("10.0.0.9"), Scheme::Http, &sent), scheme, "{:?} {:?}", style, &sent);
                }
            }
        }
    }
}
