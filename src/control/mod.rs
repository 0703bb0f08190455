//! Changes to the running process: reloads, operators' runtime overrides, discovered servers, and leaving servers that are done.
//! Every change builds one new generation of the whole desired state and publishes it. Requests finish with the generation they
//! started with.
//!
//! Rings are built on the caller's thread, never on a thread that serves requests. Changes run one after the other. Readers of the
//! desired state do not wait for them, and only the response to a change waits for the disk. This module knows neither the admin
//! service, which calls it, nor how one process hands over to another.

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
