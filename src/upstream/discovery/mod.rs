//! Servers that are found by a DNS name: what to look up, how to read an answer, and which servers it creates. The
//! shell sends the queries.

mod answer;
mod discovered;
mod dns;
mod entry;
mod lookup;
mod name;
mod schedule;
#[cfg(test)]
mod tests;

pub use answer::{Answer, NoAddress, Service};
pub use discovered::{Change, Discovered};
pub use dns::{DnsServers, DnsSpec, Family};
pub use entry::{DiscoverySpec, Template, expand};
pub use lookup::Lookup;
pub use name::{DnsName, InvalidDnsName};
pub use schedule::{Bounds, InvalidBounds, Jitter};
