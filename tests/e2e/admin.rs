//! The admin service at its Unix socket and at its address: access, reads, changes and sessions.

mod access;
mod changing;
mod conformance;
mod reading;
mod sessions;

pub use access::open;
