//! Servers that a listener for all addresses has: which addresses belong to this host is not known from the configuration alone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use burdock::config::Config;
use burdock::config::values::Listener;
use burdock::ids::{ServerId, UpstreamName};
use burdock::upstream::spec::Address;

/// A server that is one of our listeners.
#[derive(Debug, thiserror::Error)]
#[error(
    "upstreams.{upstream}.servers: {server}: {address} is an address of this host, and is reached by the listener {listener} of \
     this Burdock: a request would come back without end; write the address of the application"
)]
pub struct OwnListener {
    upstream: UpstreamName,
    server: ServerId,
    address: SocketAddr,
    listener: SocketAddr,
}

/// The servers that are ours, beyond those that the configuration shows and refuses by itself.
pub fn among_servers(config: &Config) -> Vec<OwnListener> {
    let mut local = HashMap::new();
    let mut found = Vec::new();
    let for_all: Vec<_> = config.listeners.iter().filter(|listener| listener.is_for_all()).collect();
    for upstream in config.plan.upstreams.iter().map(|sticky| &sticky.upstream) {
        for server in &upstream.servers {
            let Address::Inet(address) = server.address else { continue };
            let ip = address.ip().to_canonical();
            let is_near =
                |listener: &&&Listener| listener.address.port() == address.port() && listener.accepts_family_of(ip);
            let Some(listener) = for_all.iter().find(is_near) else { continue };
            if *local.entry(ip).or_insert_with(|| is_of_this_host(ip)) {
                let (upstream, server) = (upstream.name.clone(), server.id.clone());
                found.push(OwnListener { upstream, server, address, listener: listener.address });
            }
        }
    }
    found
}

/// All in one line.
pub fn listed(found: &[OwnListener]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether packets to this address stay on this host: then it is also their source. Nothing is sent. (A test by binding
/// would find every address where `net.ipv4.ip_nonlocal_bind` is set.)
fn is_of_this_host(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address that this host uses towards others, if it has one.
    fn own_address() -> Option<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(("192.0.2.1", 9)).ok()?;
        Some(socket.local_addr().unwrap().ip())
    }

    fn found(listener: &str, server: &str) -> Vec<OwnListener> {
        let text = format!("listeners: ['{listener}']\nupstreams: {{shop: {{servers: ['{server}']}}}}\n");
        among_servers(&Config::parse("test.yaml", &text).unwrap())
    }

    #[test]
    fn an_address_of_this_host_is_reached_by_a_listener_for_all_addresses() {
        let Some(own) = own_address() else {
            println!("SKIPPED: this host has no network");
            return;
        };
        let text = listed(&found("0.0.0.0:8080", &format!("{own}:8080")));
        assert!(text.starts_with("upstreams.shop.servers: ") && text.contains("the listener 0.0.0.0:8080"), "{text}");
        assert_eq!(found("[::]:8080", &format!("{own}:8080")).len(), 1);
        assert_eq!(found("0.0.0.0:8080", &format!("{own}:8081")).len(), 0);
        assert_eq!(found("127.0.0.1:8080", &format!("{own}:8080")).len(), 0);
    }

    #[test]
    fn addresses_of_other_hosts_are_not_ours() {
        for other in ["192.0.2.1", "198.51.100.7"] {
            assert!(!is_of_this_host(other.parse().unwrap()), "{other}");
            assert_eq!(found("0.0.0.0:8080", &format!("{other}:8080")).len(), 0);
        }
    }
}
