//! Upstreams and servers as configured. Their live state is in [`super::Upstream`].

mod server;
mod tcp_keepalive;
mod upstream;

pub use super::address::{Address, InvalidAddress};
pub use super::weight::{InvalidWeight, Weight};
pub use server::{Admin, MAX_SERVERS, ServerSpec, Then, Tier};
pub use tcp_keepalive::TcpKeepalive;
pub use upstream::{ConnectionSharing, Limits, OnMarkedDown, QueueSpec, Removal, Timeouts, UpstreamSpec};
