//! The life of the process: start, shutdown, systemd, upgrades.

pub mod bind_probe;
pub mod shutdown;
mod signals;
pub mod start;
pub mod systemd;
pub mod upgrade;
