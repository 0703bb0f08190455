//! The admin service: what is served, to whom, at the socket and at the address.

mod changing;
mod conformance;
mod doors;
mod reading;
mod sessions;

pub use doors::open;
