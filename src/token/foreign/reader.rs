//! Reads the tokens of one proxy: selects the format and holds the names that our servers had there.

use super::apache::Separator;
use super::opened::Opened;
use super::servers::Servers;
use super::spec::{Carrier, FormatSpec};
use super::{apache, caddy, envoy, haproxy, ingress_nginx, nginx, prefix, tengine, traefik};
use crate::session::foreign_format::ForeignFormat;
use crate::session::named_secret::NamedSecret;
use crate::session::server_ref::ServerRef;

/// Reads the tokens of one proxy for the servers of one upstream.
#[derive(Debug)]
pub struct Reader {
    format: ForeignFormat,
    /// None if the proxy does not use this carrier.
    form: Option<Form>,
    servers: Servers,
}

/// A format in its carrier.
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
    /// Shared by HAProxy and Tengine.
    Prefix,
}

impl FormatSpec {
    /// Whether this proxy uses this carrier for tokens.
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

    /// All texts with which this proxy may name a server.
    fn names(&self, server: &ServerRef<'_>, secret: Option<&NamedSecret>) -> Vec<String> {
        match self {
            Self::Nginx => nginx::names(server),
            Self::Tengine => tengine::names(server),
            Self::Haproxy { .. } => haproxy::names(server, secret),
            Self::Apache { .. } => apache::names(server),
            Self::Envoy => envoy::names(server),
            Self::Traefik => traefik::names(server),
            Self::Caddy { secret: None } => caddy::names(server, &[]),
            Self::Caddy { secret: Some(_) } => secret.map(|secret| caddy::names(server, secret.bytes())).unwrap_or_default(),
            Self::IngressNginx { backend } => ingress_nginx::names(server, backend),
        }
    }
}

impl Reader {
    /// A reader for these servers. If two of them have the same name, it belongs to the first. `secret` is the format's key, if
    /// it has one and it could be read.
    pub fn new(spec: &FormatSpec, carrier: Carrier, secret: Option<&NamedSecret>, servers: &[ServerRef<'_>]) -> Self {
        let mut names = Servers::default();
        for server in servers {
            for name in spec.names(server, secret) {
                names.add(name, server.id);
            }
        }
        Self { format: spec.format(), form: spec.form(carrier), servers: names }
    }

    pub fn format(&self) -> ForeignFormat {
        self.format
    }

    /// Reads a value. It accepts any bytes.
    ///
    /// Keyed values (Caddy's, and HAProxy's dynamic ones) are looked up like all others, not in constant time: an attacker could
    /// only learn a value that selects a server, which every visitor receives anyway.
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

#[cfg(test)]
mod tests {
    use super::super::testing::{self, SERVERS, all};
    use super::*;
    use crate::ids::ServerId;
    use crate::session::named_secret::SecretSource;
    use proptest::prelude::*;

    const CARRIERS: [Carrier; 4] = [Carrier::Cookie, Carrier::PrefixedCookie, Carrier::Header, Carrier::Envelope];

    fn readers() -> Vec<(FormatSpec, Carrier, Reader)> {
        let both = all().into_iter().flat_map(|spec| CARRIERS.map(|carrier| (spec.clone(), carrier)));
        both.map(|(spec, carrier)| {
            let reader = testing::reader_of(&spec, carrier, None);
            (spec, carrier, reader)
        })
        .collect()
    }

    #[test]
    fn there_is_a_reader_of_each_format() {
        assert_eq!(all().iter().map(FormatSpec::format).collect::<Vec<_>>(), ForeignFormat::ALL);
    }

    #[test]
    fn a_format_suits_only_the_carriers_that_its_proxy_uses() {
        let suits =
            |carrier| all().into_iter().filter(|spec| spec.suits(carrier)).map(|spec| spec.format()).collect::<Vec<_>>();
        assert_eq!(suits(Carrier::Cookie), ForeignFormat::ALL);
        assert_eq!(suits(Carrier::PrefixedCookie), [ForeignFormat::Tengine, ForeignFormat::Haproxy]);
        assert_eq!(suits(Carrier::Header), [ForeignFormat::Envoy]);
        assert_eq!(suits(Carrier::Envelope), [ForeignFormat::Envoy]);
    }

    #[test]
    fn a_shared_name_belongs_to_the_first_server() {
        let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
        let servers = [0, 1].map(|at| ServerRef { id: &ids[at], route: "shared", address: None });
        let reader = Reader::new(&all()[2], Carrier::Cookie, None, &servers);
        assert_eq!(reader.open(b"shared"), Opened::Server { server: &ids[0], stamps: None, rest: None });
    }

    #[test]
    fn a_server_on_a_unix_socket_has_only_its_route() {
        let id = ServerId::parse("web").unwrap();
        let server = ServerRef { id: &id, route: "r9", address: None };
        let named: Vec<_> =
            all().iter().filter(|spec| !spec.names(&server, None).is_empty()).map(FormatSpec::format).collect();
        assert_eq!(named, [ForeignFormat::Nginx, ForeignFormat::Tengine, ForeignFormat::Haproxy, ForeignFormat::Apache]);
    }

    #[test]
    fn a_value_of_one_server_never_names_another_server() {
        let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
        for (spec, carrier, reader) in readers() {
            for server in testing::servers(&ids) {
                for name in spec.names(&server, None) {
                    let value = testing::written(&spec, carrier, &name);
                    let expected = if spec.suits(carrier) { Some(server.id) } else { None };
                    assert_eq!(testing::server(&reader.open(value.as_bytes())), expected, "{spec:?} {carrier:?} {value}");
                }
            }
        }
    }

    #[test]
    fn a_missing_secret_opens_nothing() {
        let source = SecretSource::Env("ABSENT".to_owned());
        let spec = FormatSpec::Caddy { secret: Some(source) };
        let reader = testing::reader_of(&spec, Carrier::Cookie, None);
        let with_empty_key = "19dfe701bec79c305837e0a20c6b6da0859fc81ce9c57b9af8a5b815d8622985";
        assert_eq!(testing::describe(&reader, with_empty_key), "stranger -");
    }

    proptest! {
        #[test]
        fn every_format_accepts_any_bytes(value: Vec<u8>) {
            for (_, _, reader) in readers() {
                let _ = reader.open(&value);
            }
        }

        #[test]
        fn every_format_accepts_similar_values(value in "[~|.;:=A-Za-z0-9+/]{0,80}(\\|[A-Za-z0-9+/]{0,6}){0,3}(;UV:[A-Z=]{0,9})?") {
            for (_, _, reader) in readers() {
                let _ = reader.open(value.as_bytes());
            }
        }

        #[test]
        fn a_changed_hash_names_the_same_server_or_none(at in 0..3usize, change: u8, place: prop::sample::Index) {
            let ids = SERVERS.map(|id| ServerId::parse(id).unwrap());
            let server = testing::servers(&ids)[at];
            for spec in [&all()[0], &all()[5], &all()[6], &all()[7]] {
                let name = spec.names(&server, None).remove(0);
                let mut value = testing::written(spec, Carrier::Cookie, &name).into_bytes();
                let place = place.index(value.len());
                prop_assume!(value[place] != change);
                value[place] = change;
                let reader = testing::reader_of(spec, Carrier::Cookie, None);
                let opened = reader.open(&value);
                let named = testing::server(&opened);
                prop_assert!(named.is_none_or(|named| named == server.id), "{:?} {:?}", spec, named);
            }
        }
    }
}
