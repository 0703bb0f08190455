//! Shared by the tests of the formats: three servers, and a description of what a value is read as.

use std::borrow::Cow;

use super::{Carrier, FormatSpec, Opened, Reader, Separator};
use crate::ids::ServerId;
use crate::session::named_secret::{NamedSecret, SecretSource};
use crate::session::server_ref::ServerRef;

pub(crate) const SERVERS: [&str; 3] = ["web-1", "web-2", "web-3"];
const ROUTES: [&str; 3] = ["s1", "s2", "s3"];
const ADDRESSES: [&str; 3] = ["127.0.0.1:8081", "[::1]:8081", "127.0.0.1:8082"];

pub(crate) fn servers(ids: &[ServerId; 3]) -> [ServerRef<'_>; 3] {
    [0, 1, 2].map(|at| ServerRef { id: &ids[at], route: ROUTES[at], address: ADDRESSES[at].parse().ok() })
}

/// One of each format, as [`ForeignFormat::ALL`](crate::session::foreign_format::ForeignFormat::ALL) has them.
pub(crate) fn all() -> [FormatSpec; 8] {
    [
        FormatSpec::Nginx,
        FormatSpec::Tengine,
        FormatSpec::Haproxy { dynamic_cookie_key: None },
        FormatSpec::Apache { separator: Separator::default() },
        FormatSpec::Envoy,
        FormatSpec::Traefik,
        FormatSpec::Caddy { secret: None },
        FormatSpec::IngressNginx { backend: "default-http-svc-80".to_owned() },
    ]
}

pub(crate) fn secret(text: &str) -> (SecretSource, NamedSecret) {
    (SecretSource::Env("SECRET".to_owned()), NamedSecret::from_text(text.as_bytes()))
}

pub(crate) fn reader_of(spec: &FormatSpec, carrier: Carrier, secret: Option<&NamedSecret>) -> Reader {
    let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
    Reader::new(spec, carrier, secret, &servers(&ids))
}

pub(crate) fn server<'r>(opened: &Opened<'r, '_>) -> Option<&'r ServerId> {
    match opened {
        Opened::Server { server, .. } => Some(server),
        Opened::Stranger { .. } | Opened::NotMine => None,
    }
}

/// What a value is read as: `web-1 issued seen rest`, `stranger rest` or `not mine`; a dash marks a missing part.
pub(crate) fn describe(reader: &Reader, value: &str) -> String {
    let text = |rest: Option<Cow<'_, [u8]>>| {
        rest.map_or_else(|| "-".to_owned(), |rest| String::from_utf8_lossy(&rest).into_owned())
    };
    match reader.open(value.as_bytes()) {
        Opened::Server { server, stamps, rest } => {
            let stamps = stamps.map_or_else(|| "- -".to_owned(), |stamps| format!("{} {}", stamps.issued.0, stamps.seen.0));
            format!("{server} {stamps} {}", text(rest))
        }
        Opened::Stranger { rest } => format!("stranger {}", text(rest)),
        Opened::NotMine => "not mine".to_owned(),
    }
}

/// Checks what each value is read as.
pub(crate) fn assert_read(reader: &Reader, values: &[(&str, &str)]) {
    for (value, expected) in values {
        assert_eq!(describe(reader, value), *expected, "{value}");
    }
}

/// A server's name in the form that the proxy writes into its carrier.
pub(crate) fn written(spec: &FormatSpec, carrier: Carrier, name: &str) -> String {
    let base64 = |text: &str| base64_simd::STANDARD.encode_to_string(text);
    match (spec, carrier) {
        (FormatSpec::Apache { .. }, _) => format!("0123456789abcdef.{name}"),
        (FormatSpec::Envoy, Carrier::Envelope) => format!("{};UV:{}", base64(name), base64("value")),
        (FormatSpec::Envoy, _) => base64(name),
        (_, Carrier::PrefixedCookie) => format!("{name}~value"),
        (_, Carrier::Cookie | Carrier::Header | Carrier::Envelope) => name.to_owned(),
    }
}
