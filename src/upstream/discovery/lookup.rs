//! DNS lookups, and the ids of the servers that they find.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DnsName;
use crate::ids::ServerId;

/// A DNS lookup.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// The addresses of a name (A and AAAA), with this port.
    Host(DnsName, NonZeroU16),
    /// The hosts and ports that offer a service (SRV, RFC 2782).
    Srv(DnsName),
}

impl Lookup {
    pub fn name(&self) -> &DnsName {
        match self {
            Self::Host(name, _) | Self::Srv(name) => name,
        }
    }

    /// The longest stem that leaves room for any address (see [`ServerId`]).
    pub const fn max_stem_length(&self) -> usize {
        match self {
            Self::Host(..) => 128 - "@[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]".len(),
            Self::Srv(_) => 128 - "@[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".len(),
        }
    }

    /// The Host header of a request to one of its servers.
    pub(super) fn host(&self, address: SocketAddr) -> Arc<str> {
        format!("{}:{}", self.name().host(), address.port()).into()
    }

    pub(super) fn id(&self, stem: &ServerId, address: SocketAddr) -> Option<ServerId> {
        let text = match (self, address.ip()) {
            (Self::Srv(_), _) => format!("{stem}@{address}"),
            (Self::Host(..), IpAddr::V4(ip)) => format!("{stem}@{ip}"),
            (Self::Host(..), IpAddr::V6(ip)) => format!("{stem}@[{ip}]"),
        };
        ServerId::parse(&text).ok()
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name, port) => write!(f, "{name}:{port}"),
            Self::Srv(name) => name.fmt(f),
        }
    }
}
