//! How names are looked up: which servers to ask, how long an answer is valid, and which addresses count.

use std::net::SocketAddr;
use std::time::Duration;

use super::schedule::Bounds;

/// How names are looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DnsSpec {
    pub servers: DnsServers,
    /// The minimum and maximum time that an answer is valid.
    pub bounds: Bounds,
    /// For one query, including retries.
    pub timeout: Duration,
    pub family: Family,
}

/// The DNS servers to ask.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum DnsServers {
    /// The servers in /etc/resolv.conf, after /etc/hosts.
    #[default]
    System,
    /// These servers, at least one.
    Listed(Vec<SocketAddr>),
}

/// Which addresses count.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Family {
    #[default]
    Any,
    Ipv4,
    Ipv6,
}

impl Default for DnsSpec {
    fn default() -> Self {
        let (servers, bounds, family) = (DnsServers::default(), Bounds::default(), Family::default());
        Self { servers, bounds, timeout: Duration::from_secs(2), family }
    }
}
