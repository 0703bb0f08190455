//! `dns`: how server names are looked up.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use super::names::leaf;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::Findings;
use crate::config::schema::map::record;
use crate::config::schema::read::{At, Hint, Leaf, Read, SomeOf};
use crate::config::schema::tree::{Node, Style, Value};
use crate::config::schema::units::Positive;
use crate::upstream::discovery::{Bounds, DnsServers, DnsSpec, Family};

record! {
    "dns" => struct DnsText {
        /// The DNS servers: system (/etc/hosts, then the servers and search list of /etc/resolv.conf, read at startup),
        /// or addresses, with a port unless it is 53.
        servers: DnsServers = "system",
        /// The shortest time that an answer is valid, even if its TTL is shorter.
        min_ttl: Positive = "1s",
        /// The longest time that an answer is valid.
        max_ttl: At<Positive> = "5m",
        /// The timeout of a query, including retries.
        timeout: Positive = "2s",
        /// Which addresses are used.
        family: Family = "any",
    }
}

choice! {
    "a family of addresses" => Family {
        /// IPv4 and IPv6.
        any => Self::Any,
        /// Only IPv4.
        ipv4 => Self::Ipv4,
        /// Only IPv6.
        ipv6 => Self::Ipv6,
    }
}

/// The address of a DNS server; the default port is 53.
struct DnsServer(SocketAddr);

leaf! {
    DnsServer: "an address such as 10.0.0.53 or 127.0.0.1:5353", Text,
        dns_server, {"type": "string", "examples": ["10.0.0.53", "127.0.0.1:5353", "[fd00::53]:53"]};
}

fn dns_server(text: &str) -> Result<DnsServer, Hint> {
    let port_53 = |ip: IpAddr| SocketAddr::new(ip, 53);
    let address = text.parse().or_else(|_| text.parse().map(port_53)).map_err(|_| Hint::unknown())?;
    if address.port() == 0 {
        return Err(Hint::by("use a port from 1 to 65535"));
    }
    if address.ip().is_unspecified() { Err(Hint::by("use the address of a DNS server")) } else { Ok(DnsServer(address)) }
}

impl Read for DnsServers {
    type Value = Self;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        if matches!(&node.value, Value::Scalar(word, Style::Plain) if word == "system") {
            return Some(Self::System);
        }
        let listed = SomeOf::<DnsServer>::read(node, findings)?;
        Some(Self::Listed(listed.into_iter().map(|server| server.0).collect()))
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [{"const": "system"}, SomeOf::<DnsServer>::schema()]})
    }
}

impl DnsText {
    pub(super) fn build(self, findings: &mut Findings) -> DnsSpec {
        let bounds = Bounds::new(self.min_ttl, self.max_ttl.value).unwrap_or_else(|_| {
            let message = format!("{:?} is less than min_ttl ({:?})", self.max_ttl.value, self.min_ttl);
            findings.fault(self.max_ttl.at, message);
            Bounds::default()
        });
        DnsSpec { servers: self.servers, bounds, timeout: self.timeout, family: self.family }
    }
}
