//! Reading the tokens of other proxies is total, in every carrier, and an application's own value is never longer than what
//! it was wrapped in.
#![no_main]

use std::sync::LazyLock;

use burdock::session::server_ref::ServerRef;
use burdock::token::foreign::{Carrier, FormatSpec, Opened, Reader, Separator};
use burdock::session::named_secret::{NamedSecret, SecretSource};
use burdock::ids::ServerId;
use libfuzzer_sys::fuzz_target;

static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let source = SecretSource::Env("SECRET".to_owned());
    let secret = NamedSecret::from_text(b"secret");
    let id = ServerId::parse("web-1").expect("an id");
    let servers = [ServerRef { id: &id, route: "s1", address: Some(([127, 0, 0, 1], 8081).into()) }];
    let formats = [
        FormatSpec::Nginx,
        FormatSpec::Tengine,
        FormatSpec::Haproxy { dynamic_cookie_key: Some(source.clone()) },
        FormatSpec::Apache { separator: Separator::default() },
        FormatSpec::Envoy,
        FormatSpec::Traefik,
        FormatSpec::Caddy { secret: Some(source) },
        FormatSpec::IngressNginx { backend: "default-http-svc-80".to_owned() },
    ];
    let carriers = [Carrier::Cookie, Carrier::PrefixedCookie, Carrier::Header, Carrier::Envelope];
    let pairs = formats.iter().flat_map(|format| carriers.map(|carrier| (format, carrier)));
    pairs.map(|(format, carrier)| Reader::new(format, carrier, Some(&secret), &servers)).collect()
});

fuzz_target!(|input: &[u8]| {
    for reader in READERS.iter() {
        match reader.open(input) {
            Opened::Server { rest: Some(rest), .. } | Opened::Stranger { rest: Some(rest) } => {
                assert!(rest.len() < input.len());
            }
            Opened::Server { rest: None, .. } | Opened::Stranger { rest: None } | Opened::NotMine => {}
        }
    }
});
