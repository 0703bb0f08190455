//! Servers that are Burdock's own listeners. A request to one would come back to Burdock, again and again, until no descriptor is left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::conflicts::PlacedUpstream;
use crate::config::schema::errors::{Findings, Location};
use crate::config::values::Listener;
use crate::upstream::discovery::Lookup;
use crate::upstream::spec::Address;

const HELP: &str = "write the address of the application: a request to a listener would come back without end";

pub(super) fn check(upstreams: &[PlacedUpstream], listeners: &[Listener], findings: &mut Findings) {
    for upstream in upstreams {
        check_addresses(upstream, listeners, findings);
        check_names(upstream, listeners, findings);
    }
}

fn check_addresses(upstream: &PlacedUpstream, listeners: &[Listener], findings: &mut Findings) {
    let servers = upstream.spec.upstream.servers.iter().zip(&upstream.addresses_at);
    for (server, &at) in servers {
        let Address::Inet(address) = server.address else { continue };
        if let Some(listener) = listeners.iter().find(|listener| listener.is_reached_at(address)) {
            refuse(&address.to_string(), listener, at, findings);
        }
    }
}

/// The one name that means this host everywhere (RFC 6761, 6.3).
fn check_names(upstream: &PlacedUpstream, listeners: &[Listener], findings: &mut Findings) {
    let entries = upstream.spec.upstream.discovery.iter().zip(&upstream.found_at);
    for (entry, &at) in entries {
        let Lookup::Host(name, port) = &entry.lookup else { continue };
        if !matches!(name.as_str(), "localhost" | "localhost.") {
            continue;
        }
        let loopback: [SocketAddr; 2] =
            [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].map(|ip: IpAddr| (ip, port.get()).into());
        let is_own = |listener: &&Listener| loopback.into_iter().any(|address| listener.is_reached_at(address));
        if let Some(listener) = listeners.iter().find(is_own) {
            refuse(&entry.lookup.to_string(), listener, at, findings);
        }
    }
}

fn refuse(server: &str, listener: &Listener, at: Location, findings: &mut Findings) {
    let message = match listener.address.to_string() {
        own if own == server => format!("{server} is a listener of this Burdock"),
        own => format!("{server} is reached by the listener {own} of this Burdock"),
    };
    findings.fault_with_help(at, message, HELP);
}
