//! Servers that are found by a DNS name: what is looked up, what an answer says, and which servers it makes. Asking is the
//! shell's work.

mod answer;
mod discovered;
mod entry;
mod lookup;
mod name;
mod schedule;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

pub use answer::{Answer, NoAddress, Service};
pub use discovered::{Change, Discovered};
pub use entry::{DiscoverySpec, Template, expand};
pub use lookup::Lookup;
pub use name::{DnsName, InvalidDnsName};
pub use schedule::{Bounds, InvalidBounds, Jitter};

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
