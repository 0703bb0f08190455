//! Chooses the server for a request from its claims, and settles its tie by the response: claims → assignment → redispatch*
//! → settle. It reads no clock, does no I/O and knows no framework.

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
