//! Servers that are found by a DNS name: what is looked up, what an answer says, and which servers it makes. Asking is the
//! shell's work.

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
