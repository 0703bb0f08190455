//! How names are looked up: whom to ask, how long an answer is good, and which addresses count.

use std::net::SocketAddr;
use std::time::Duration;

use super::schedule::Bounds;

/// How names are looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DnsSpec {
    pub servers: DnsServers,
    /// How long an answer is good at least and at most.
    pub bounds: Bounds,
    /// For one question, all tries included.
    pub timeout: Duration,
    pub family: Family,
}

/// Who is asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum DnsServers {
    /// Whom /etc/resolv.conf names, after a look into /etc/hosts.
    #[default]
    System,
    /// These, at least one.
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
