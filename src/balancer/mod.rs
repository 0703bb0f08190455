//! From what a request claims to the server that gets it, and from the response to what becomes of the tie:
//! claims → assignment → redispatch* → settle.

#[expect(clippy::module_inception, reason = "this is where one looks for the type")]
mod balancer;
pub mod connection;
pub mod diff;
pub mod drain;
mod estimates;
pub mod exchange;
pub mod handoff;
pub mod overrides;
pub mod reason;
pub mod spec;
mod sticky_upstream;

pub use balancer::{Balancer, PlanError};
pub use sticky_upstream::{Sessions, StickyUpstream};
