//! What changes the running process: a new configuration, the wishes of operators for single servers, servers that are done
//! leaving. Every change makes one new generation from all that is wanted, and publishes it whole; requests go on with the one
//! that they have begun with.
//!
//! Rings are built here, by whoever asks: never on a thread that serves requests. One change is made after the other; whoever
//! only wants to know what is wanted waits for none of them, and nothing waits for the disk but the answer to a change. It knows
//! neither the admin service, which asks for changes, nor how one process hands over to another.

pub mod actor;
pub mod change;
pub mod desired;
mod discovered;
pub mod handoff;
pub mod maintenance;
pub mod persist;
pub mod reload;
pub mod servers;
pub mod state;
pub mod store;
pub mod tag;
pub mod upgrade_request;
