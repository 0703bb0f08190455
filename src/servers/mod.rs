//! Connections to servers: peers, HTTP upgrades, private connections.

pub mod http_upgrade;
pub mod peer;
pub mod private;
