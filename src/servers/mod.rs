//! Connections to servers: peers, HTTP upgrades, private connections.

pub mod connection_use;
pub mod http_upgrade;
pub mod peer;
pub mod private;
pub mod shortage;
pub mod tcp_keepalive;
