//! The tokens of the proxies that were here before, one file for each: what they put into a cookie or header, and which of our
//! servers that was. So that nobody is logged out by moving in.
//!
//! Most of these values are a function of a server's address and nothing else. They are computed once, for every server, and
//! then only looked up: whatever a client sends, it names one of our servers or none. Nearly all of them can be made by
//! anybody, as they could be there; that is why they are accepted for a while only, and replaced by our own.
//!
//! It knows no request and no clock: where a value was found, and whether its dates still hold, is the caller's business.

mod apache;
mod caddy;
mod dated;
mod envoy;
mod haproxy;
mod ingress_nginx;
mod nginx;
mod prefix;
mod servers;
mod spec;
mod tengine;
mod traefik;

use std::borrow::Cow;

pub use apache::{InvalidSeparator, Separator};
use servers::Servers;
pub use spec::{AcceptSpec, Carrier, Format, FormatSpec};

use super::Stamps;
use crate::sticky::Member;
use crate::sticky::secrets::Secrets;
use crate::upstream::ServerId;

/// Reads the values of one proxy for the servers of one upstream.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    /// None where the format has no form for the carrier.
    form: Option<Form>,
    servers: Servers,
}

/// What a value says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opened<'r, 'v> {
    Server {
        server: &'r ServerId,
        /// None where the value has no dates, or none that can be read. One in the future counts as now, as everywhere.
        stamps: Option<Stamps>,
        /// The application's own value, where the token was wrapped around it.
        rest: Option<Cow<'v, [u8]>>,
    },
    /// It looks like this proxy's, and names none of our servers.
    Stranger { rest: Option<Cow<'v, [u8]>> },
    /// Nothing shows that it is this proxy's. So it is with a mere name of a server that is not ours.
    NotMine,
}

/// How a format looks in its carrier.
#[derive(Clone, Copy, Debug)]
enum Form {
    Nginx,
    Tengine,
    Haproxy,
    Apache(Separator),
    EnvoyCookie,
    EnvoyHeader,
    EnvoyEnvelope,
    Traefik,
    Caddy,
    IngressNginx,
    /// Of HAProxy and Tengine alike.
    Prefix,
}

impl FormatSpec {
    /// Whether this proxy puts tokens there at all.
    pub fn suits(&self, carrier: Carrier) -> bool {
        self.form(carrier).is_some()
    }

    fn form(&self, carrier: Carrier) -> Option<Form> {
        match (self, carrier) {
            (Self::Envoy, Carrier::Cookie) => Some(Form::EnvoyCookie),
            (Self::Envoy, Carrier::Header) => Some(Form::EnvoyHeader),
            (Self::Envoy, Carrier::Envelope) => Some(Form::EnvoyEnvelope),
            (Self::Haproxy { .. } | Self::Tengine, Carrier::PrefixedCookie) => Some(Form::Prefix),
            (Self::Nginx, Carrier::Cookie) => Some(Form::Nginx),
            (Self::Tengine, Carrier::Cookie) => Some(Form::Tengine),
            (Self::Haproxy { .. }, Carrier::Cookie) => Some(Form::Haproxy),
            (Self::Apache { separator }, Carrier::Cookie) => Some(Form::Apache(*separator)),
            (Self::Traefik, Carrier::Cookie) => Some(Form::Traefik),
            (Self::Caddy { .. }, Carrier::Cookie) => Some(Form::Caddy),
            (Self::IngressNginx { .. }, Carrier::Cookie) => Some(Form::IngressNginx),
            (_, Carrier::PrefixedCookie | Carrier::Header | Carrier::Envelope) => None,
        }
    }

    /// All texts by which this proxy would have named a server.
    fn names(&self, member: &Member<'_>, secrets: &Secrets) -> Vec<String> {
        match self {
            Self::Nginx => nginx::names(member),
            Self::Tengine => tengine::names(member),
            Self::Haproxy { dynamic_cookie_key } => {
                haproxy::names(member, dynamic_cookie_key.as_ref().and_then(|key| secrets.get(key)))
            }
            Self::Apache { .. } => apache::names(member),
            Self::Envoy => envoy::names(member),
            Self::Traefik => traefik::names(member),
            Self::Caddy { secret: None } => caddy::names(member, &[]),
            Self::Caddy { secret: Some(source) } => {
                secrets.get(source).map(|secret| caddy::names(member, secret.octets())).unwrap_or_default()
            }
            Self::IngressNginx { backend } => ingress_nginx::names(member, backend),
        }
    }
}

impl Reader {
    /// A reader for these servers. Where two of them would have had one name, it is the first one's.
    pub fn new(spec: &FormatSpec, carrier: Carrier, secrets: &Secrets, members: &[Member<'_>]) -> Self {
        let mut servers = Servers::default();
        for member in members {
            for name in spec.names(member, secrets) {
                servers.add(name, member.id);
            }
        }
        Self { format: spec.format(), form: spec.form(carrier), servers }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// What a value says; total on any octets.
    ///
    /// Keyed values (Caddy's, HAProxy's dynamic ones) are looked up like all others, not in constant time: all that could leak
    /// is a value that picks a server, which every visitor is given one of and which is good for nothing else.
    pub fn open<'v>(&self, value: &'v [u8]) -> Opened<'_, 'v> {
        let servers = &self.servers;
        match self.form {
            None => Opened::NotMine,
            Some(Form::Nginx) => nginx::open(servers, value),
            Some(Form::Tengine) => tengine::open(servers, value),
            Some(Form::Haproxy) => haproxy::open(servers, value),
            Some(Form::Apache(separator)) => apache::open(servers, separator, value),
            Some(Form::EnvoyCookie) => envoy::open_cookie(servers, value),
            Some(Form::EnvoyHeader) => envoy::open_header(servers, value),
            Some(Form::EnvoyEnvelope) => envoy::open_envelope(servers, value),
            Some(Form::Traefik) => traefik::open(servers, value),
            Some(Form::Caddy) => caddy::open(servers, value),
            Some(Form::IngressNginx) => ingress_nginx::open(servers, value),
            Some(Form::Prefix) => prefix::open(servers, value),
        }
    }
}

/// What the tests of the formats share: three servers, and what a value of one of them is taken for.
#[cfg(test)]
mod testing {
    use super::*;
    use crate::sticky::secrets::{Secret, SecretSource};
    use crate::table::FingerprintKey;
    use crate::token::keys::{Key, KeyRing};

    pub(crate) const SERVERS: [&str; 3] = ["web-1", "web-2", "web-3"];
    const ROUTES: [&str; 3] = ["s1", "s2", "s3"];
    const ADDRESSES: [&str; 3] = ["127.0.0.1:8081", "[::1]:8081", "127.0.0.1:8082"];

    pub(crate) fn members(ids: &[ServerId; 3]) -> [Member<'_>; 3] {
        [0, 1, 2].map(|at| Member { id: &ids[at], route: ROUTES[at], address: ADDRESSES[at].parse().ok() })
    }

    /// One of each format, as [`Format::ALL`] has them.
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

    /// No secrets but the key that there must be.
    pub(crate) fn none() -> Secrets {
        with([])
    }

    pub(crate) fn secret(text: &str) -> (SecretSource, Secrets) {
        let source = SecretSource::Env("SECRET".to_owned());
        (source.clone(), with([(source, Secret::from_text(text.as_bytes()))]))
    }

    fn with<const N: usize>(others: [(SecretSource, Secret); N]) -> Secrets {
        let ring = KeyRing::new(vec![Key::parse(&"17".repeat(32)).unwrap()]).unwrap();
        Secrets::new(ring, FingerprintKey::parse(&"5e".repeat(32)).unwrap(), others)
    }

    pub(crate) fn reader_of(spec: &FormatSpec, carrier: Carrier, secrets: &Secrets) -> Reader {
        let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
        Reader::new(spec, carrier, secrets, &members(&ids))
    }

    pub(crate) fn server<'r>(opened: &Opened<'r, '_>) -> Option<&'r ServerId> {
        match opened {
            Opened::Server { server, .. } => Some(server),
            Opened::Stranger { .. } | Opened::NotMine => None,
        }
    }

    /// What a value is taken for: `web-1 issued seen rest`, `stranger rest`, `not mine`; a dash for what is not there.
    pub(crate) fn told(reader: &Reader, value: &str) -> String {
        let text = |rest: Option<Cow<'_, [u8]>>| {
            rest.map_or_else(|| "-".to_owned(), |rest| String::from_utf8_lossy(&rest).into_owned())
        };
        match reader.open(value.as_bytes()) {
            Opened::Server { server, stamps, rest } => {
                let stamps =
                    stamps.map_or_else(|| "- -".to_owned(), |stamps| format!("{} {}", stamps.issued.0, stamps.seen.0));
                format!("{server} {stamps} {}", text(rest))
            }
            Opened::Stranger { rest } => format!("stranger {}", text(rest)),
            Opened::NotMine => "not mine".to_owned(),
        }
    }

    /// Each value with what it is taken for.
    pub(crate) fn assert_told(reader: &Reader, values: &[(&str, &str)]) {
        for (value, expected) in values {
            assert_eq!(told(reader, value), *expected, "{value}");
        }
    }

    /// A server's name as the proxy puts it into its carrier.
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
}

#[cfg(test)]
mod tests {
    use super::testing::{SERVERS, all, none};
    use super::*;
    use proptest::prelude::*;

    const CARRIERS: [Carrier; 4] = [Carrier::Cookie, Carrier::PrefixedCookie, Carrier::Header, Carrier::Envelope];

    fn readers() -> Vec<(FormatSpec, Carrier, Reader)> {
        let both = all().into_iter().flat_map(|spec| CARRIERS.map(|carrier| (spec.clone(), carrier)));
        both.map(|(spec, carrier)| {
            let reader = testing::reader_of(&spec, carrier, &none());
            (spec, carrier, reader)
        })
        .collect()
    }

    #[test]
    fn every_format_has_its_own_word_and_place() {
        let words: std::collections::BTreeSet<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        assert_eq!(words.len(), Format::ALL.len());
        assert!(Format::ALL.iter().enumerate().all(|(at, format)| format.index() == at));
        assert_eq!(all().iter().map(FormatSpec::format).collect::<Vec<_>>(), Format::ALL);
    }

    #[test]
    fn a_format_suits_only_the_carriers_that_its_proxy_uses() {
        let suits =
            |carrier| all().into_iter().filter(|spec| spec.suits(carrier)).map(|spec| spec.format()).collect::<Vec<_>>();
        assert_eq!(suits(Carrier::Cookie), Format::ALL);
        assert_eq!(suits(Carrier::PrefixedCookie), [Format::Tengine, Format::Haproxy]);
        assert_eq!(suits(Carrier::Header), [Format::Envoy]);
        assert_eq!(suits(Carrier::Envelope), [Format::Envoy]);
    }

    #[test]
    fn where_two_servers_had_one_name_it_is_the_first_ones() {
        let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
        let members = [0, 1].map(|at| Member { id: &ids[at], route: "shared", address: None });
        let reader = Reader::new(&all()[2], Carrier::Cookie, &none(), &members);
        assert_eq!(reader.open(b"shared"), Opened::Server { server: &ids[0], stamps: None, rest: None });
    }

    #[test]
    fn a_server_on_a_unix_socket_has_only_its_route() {
        let id = ServerId::parse("web").unwrap();
        let member = Member { id: &id, route: "r9", address: None };
        let named: Vec<_> =
            all().iter().filter(|spec| !spec.names(&member, &none()).is_empty()).map(FormatSpec::format).collect();
        assert_eq!(named, [Format::Nginx, Format::Tengine, Format::Haproxy, Format::Apache]);
    }

    #[test]
    fn a_value_of_one_server_never_names_another() {
        let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
        for (spec, carrier, reader) in readers() {
            for member in testing::members(&ids) {
                for name in spec.names(&member, &none()) {
                    let value = testing::written(&spec, carrier, &name);
                    let expected = if spec.suits(carrier) { Some(member.id) } else { None };
                    assert_eq!(testing::server(&reader.open(value.as_bytes())), expected, "{spec:?} {carrier:?} {value}");
                }
            }
        }
    }

    #[test]
    fn a_secret_that_nobody_read_opens_nothing() {
        let source = crate::sticky::secrets::SecretSource::Env("ABSENT".to_owned());
        let spec = FormatSpec::Caddy { secret: Some(source) };
        let reader = testing::reader_of(&spec, Carrier::Cookie, &none());
        let with_empty_key = "19dfe701bec79c305837e0a20c6b6da0859fc81ce9c57b9af8a5b815d8622985";
        assert_eq!(testing::told(&reader, with_empty_key), "stranger -");
    }

    proptest! {
        #[test]
        fn every_format_is_total_on_any_bytes(value: Vec<u8>) {
            for (_, _, reader) in readers() {
                let _ = reader.open(&value);
            }
        }

        #[test]
        fn every_format_is_total_on_what_looks_like_one(value in "[~|.;:=A-Za-z0-9+/]{0,80}(\\|[A-Za-z0-9+/]{0,6}){0,3}(;UV:[A-Z=]{0,9})?") {
            for (_, _, reader) in readers() {
                let _ = reader.open(value.as_bytes());
            }
        }

        #[test]
        fn a_changed_hash_names_the_same_server_or_none(at in 0..3usize, change: u8, place: prop::sample::Index) {
            let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
            let member = testing::members(&ids)[at];
            for spec in [&all()[0], &all()[5], &all()[6], &all()[7]] {
                let name = spec.names(&member, &none()).remove(0);
                let mut value = testing::written(spec, Carrier::Cookie, &name).into_bytes();
                let place = place.index(value.len());
                prop_assume!(value[place] != change);
                value[place] = change;
                let reader = testing::reader_of(spec, Carrier::Cookie, &none());
                let opened = reader.open(&value);
                let named = testing::server(&opened);
                prop_assert!(named.is_none_or(|named| named == member.id), "{:?} {:?}", spec, named);
            }
        }
    }
}
