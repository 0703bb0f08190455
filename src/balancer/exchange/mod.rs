//! One request on its way through the balancer. [`Exchange`] holds its state. Each step is a function in a file of its own,
//! and its arguments show what it reads: claims → select, or failover → report → settle.

mod assignment;
mod claims;
mod decision;
#[expect(clippy::module_inception, reason = "this is where one looks for the type")]
mod exchange;
mod failover;
mod learning;
mod report;
mod request_info;
mod select;
mod settle;
mod ties;
mod tokens;
mod wait;
mod writes;

pub use assignment::{Assignment, Refusal, Waiting};
pub use claims::ResolvedClaim;
pub use decision::Decision;
pub use exchange::Exchange;
pub use settle::Settlement;
