//! The admin service at its Unix socket and at its address: access, reads, changes and sessions.

mod access;
mod conformance;
mod overrides;
mod sessions;
mod status;

pub use access::open;
