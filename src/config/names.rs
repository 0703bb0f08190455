//! Scalars specific to Burdock: names, addresses, hosts and headers. Most use the parser of the domain type, and its
//! error as the hint.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use ::http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use serde_json::json;

use crate::config::schema::read::{Hint, Leaf};
use crate::http::cookie::CookieName;
use crate::http::set_cookie::{CookieDomain, CookiePath, ExtraAttribute};
use crate::ids::{ServerId, UpstreamName};
use crate::route::{HostPattern, PathPrefix};
use crate::session::load_factor::LoadFactor;
use crate::upstream::discovery::DnsName;
use crate::upstream::percent::Percent;
use crate::upstream::spec::{Address, InvalidAddress, Weight};

/// Makes a domain type readable from the configuration: its description, its parser and its JSON Schema.
macro_rules! leaf {
    ($($name:ty: $expected:literal, $kind:ident, $parse:expr, $schema:tt;)*) => {$(
        impl Leaf for $name {
            type Value = Self;
            const EXPECTED: &'static str = $expected;
            const KIND: $crate::config::schema::read::Kind = $crate::config::schema::read::Kind::$kind;

            fn parse(text: &str) -> Result<Self, Hint> {
                $parse(text)
            }

            fn schema() -> serde_json::Value {
                json!($schema)
            }
        }
    )*};
}
pub(super) use leaf;

leaf! {
    UpstreamName: "a name of at most 64 letters, digits, '_', '-' and '.'", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"};
    ServerId: "a server's id", Text,
        |text| Ok(Self::parse(text)?), {"type": ["string", "integer"], "pattern": "^[^\\s\",;\\\\]{1,128}$"};
    Weight: "0 to 256", Bare,
        weight, {"type": "integer", "minimum": 0, "maximum": 256};
    LoadFactor: "a load factor such as 1.25", Bare,
        load_factor, {"type": "number", "exclusiveMinimum": 1, "maximum": 100};
    Percent: "a percentage such as 50%", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "pattern": "^[0-9]{1,3}%$", "examples": ["50%"]};
    Address: "a server's address such as 10.0.0.10:8080, [fd00::10]:8080 or unix:/run/app.sock", Text,
        server_address, {"type": "string", "examples": ["10.0.0.10:8080", "[fd00::10]:8080", "unix:/run/app.sock"]};
    IpNet: "an address or a network such as 10.0.0.0/8", Text,
        network, {"type": "string", "examples": ["10.0.0.0/8", "192.0.2.7", "fd00::/8"]};
    HostPattern: "a host such as shop.example.com or \"*.example.com\"", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "examples": ["shop.example.com", "*.example.com"]};
    PathPrefix: "a path prefix such as /app", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "pattern": "^/[^?#%\\s]*$"};
    CookieName: "a cookie's name", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"};
    CookiePath: "a cookie's path such as /", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "pattern": "^/"};
    CookieDomain: "a cookie's domain such as example.com", Text,
        |text| Ok(Self::parse(text)?), {"type": "string"};
    ExtraAttribute: "a cookie's attribute such as Priority=High", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "pattern": "^[ -:<-~]*$", "examples": ["Priority=High"]};
    HeaderName: "a header's name", Text,
        |text: &str| Ok(Self::from_bytes(text.as_bytes())?), {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"};
    HeaderValue: "a header's value", Text,
        |text: &str| Ok(Self::from_str(text)?), {"type": "string"};
}

/// A name to look up, and a port.
#[derive(Clone, Debug)]
pub(super) struct HostPort {
    pub(super) name: DnsName,
    pub(super) port: NonZeroU16,
}

leaf! {
    HostPort: "a name and a port such as app.internal:8080", Text,
        host_port, {"type": "string", "examples": ["app.internal:8080"]};
    DnsName: "a name such as _http._tcp.app.internal", Text,
        |text| Ok(Self::parse(text)?), {"type": "string", "examples": ["_http._tcp.app.internal"]};
}

impl HostPort {
    /// Whether a server's short form is a name and not an address.
    pub(super) fn is_meant(text: &str) -> bool {
        host_port(text).is_ok()
    }
}

fn host_port(text: &str) -> Result<HostPort, Hint> {
    if text.parse::<SocketAddr>().is_ok() {
        return Err(Hint::by("write an address alone or in the field address"));
    }
    let Some((name, port)) = text.rsplit_once(':') else {
        return Err(Hint::by(format!(
            "for a name to look up add a port: {text}:8080; for a name of your own write id: {text}"
        )));
    };
    let name = DnsName::parse(name)?;
    let port = port.parse().map_err(|_| Hint::by("use a port from 1 to 65535"))?;
    Ok(HostPort { name, port })
}

/// An address and a port to listen on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenAddress(pub(super) SocketAddr);

leaf! {
    ListenAddress: "an address to listen on such as 0.0.0.0:8080 or [::]:8080", Text,
        listen_address, {"type": "string", "examples": ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:8080"]};
}

fn listen_address(text: &str) -> Result<ListenAddress, Hint> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err(Hint::by("use a port from 1 to 65535")),
        Ok(address) => Ok(ListenAddress(address)),
        Err(_) => Err(listen_hint(text)),
    }
}

fn listen_hint(text: &str) -> Hint {
    if let Ok(ip) = text.parse() {
        return port_hint(ip);
    }
    match text.rsplit_once(':') {
        Some(("" | "*", port)) => {
            Hint::by(format!("write 0.0.0.0:{port} for all IPv4 addresses, [::]:{port} for all addresses"))
        }
        Some((_, port)) if port.parse::<u16>().is_err() => Hint::by("use a port from 1 to 65535"),
        Some(_) => Hint::by("use an address, not a name: localhost is 127.0.0.1"),
        None if text.parse::<u16>().is_ok() => {
            Hint::by(format!("write 0.0.0.0:{text} for all IPv4 addresses, [::]:{text} for all addresses"))
        }
        None => Hint::unknown(),
    }
}

/// The hint for an address without a port.
fn port_hint(ip: IpAddr) -> Hint {
    match ip {
        IpAddr::V4(ip) => Hint::by(format!("add a port: {ip}:8080")),
        IpAddr::V6(_) => Hint::by("write an IPv6 address in brackets, followed by the port: [fd00::10]:8080"),
    }
}

fn server_address(text: &str) -> Result<Address, Hint> {
    Address::parse(text).map_err(|error| match error {
        InvalidAddress::NoAddress if text.starts_with("unix:") => Hint::unknown(),
        InvalidAddress::NoAddress => server_hint(text),
        InvalidAddress::RelativePath | InvalidAddress::LongPath | InvalidAddress::Port | InvalidAddress::Unspecified => {
            error.into()
        }
    })
}

fn server_hint(text: &str) -> Hint {
    if let Ok(ip) = text.parse() {
        return port_hint(ip);
    }
    if text.contains("://") {
        return Hint::by("remove the scheme and the path");
    }
    let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
    match name.parse::<IpAddr>() {
        Ok(_) => Hint::by("use a port from 1 to 65535"),
        Err(_) if HostPort::is_meant(text) => Hint::by(format!("to look up a name, use the field name: {{name: {text}}}")),
        Err(_) if DnsName::parse(text).is_ok() => Hint::by(format!("add a port: {text}:8080")),
        Err(_) if name.contains(|c: char| c.is_alphabetic()) => match DnsName::parse(name) {
            Ok(_) => Hint::by("use a port from 1 to 65535"),
            Err(error) => error.into(),
        },
        Err(_) => Hint::unknown(),
    }
}

fn network(text: &str) -> Result<IpNet, Hint> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let net: IpNet = text.parse().map_err(|_| Hint::unknown())?;
    if net.trunc() == net { Ok(net) } else { Err(Hint::by(format!("bits are set outside the mask: write {}", net.trunc()))) }
}

fn weight(text: &str) -> Result<Weight, Hint> {
    let hint = || Hint::by("weights are relative: scale them all, for example 5 and 3 in place of 1 and 0.6");
    let number = text.parse().map_err(|_| hint())?;
    Weight::new(number).map_err(|_| hint())
}

fn load_factor(text: &str) -> Result<LoadFactor, Hint> {
    let number: f64 = text.parse().map_err(|_| crate::session::load_factor::InvalidLoadFactor)?;
    Ok(LoadFactor::new(number)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_or_a_socket() {
        for right in ["10.0.0.10:8080", "[fd00::10]:8080", "unix:/run/app.sock"] {
            assert_eq!(server_address(right).unwrap().to_string(), right);
        }
        for wrong in
            ["", "10.0.0.10", "fd00::10:8080", "app:8080", "http://10.0.0.10:8080", "10.0.0.10:0", "0.0.0.0:80", "unix:run"]
        {
            assert!(server_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_is_a_name_unless_it_is_an_address() {
        for right in ["app.internal:8080", "localhost:80", "app:1", "App.internal.:65535"] {
            assert!(HostPort::is_meant(right), "{right}");
        }
        for wrong in [
            "app.internal",
            "app.internal:",
            "app:0",
            "app:65536",
            "10.0.0.1:80",
            "[::1]:80",
            "10.0.0.256:80",
            "unix:/run/x",
            "http://app:80",
            "fd00::10:8080",
            ":80",
        ] {
            assert!(!HostPort::is_meant(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_trusted_proxy_is_an_address_or_a_network() {
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("fd00::/8").unwrap().to_string(), "fd00::/8");
        assert!(network("10.0.0.1/8").is_err());
        assert!(network("proxies").is_err());
    }
}
