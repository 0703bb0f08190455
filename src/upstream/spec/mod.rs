//! Upstreams and servers as the configuration describes them. The live side is in [`super::Upstream`].

mod server;
mod upstream;

pub use super::address::{Address, InvalidAddress};
pub use super::weight::{InvalidWeight, Weight};
pub use server::{Admin, MOST_SERVERS, ServerSpec, Then, Tier};
pub use upstream::{ConnectionSharing, Limits, OnMarkedDown, QueueSpec, Removal, Timeouts, UpstreamSpec};
