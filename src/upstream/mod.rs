//! A named group of servers, and how one is picked. It knows servers, loads and health, and nothing about cookies.

mod address;
pub mod answer_counts;
mod attempts;
pub mod balance;
mod board;
mod candidates;
pub mod discovery;
pub mod failover;
pub mod handoff;
pub mod health;
pub mod health_state;
pub mod last_failure;
mod load;
mod marks;
pub mod outlier;
pub mod percent;
mod pick;
pub mod queue;
pub mod retry;
mod ring;
mod ring_pick;
pub mod server;
pub mod spec;
mod totals;
mod tournament;
mod turns;
#[expect(clippy::module_inception, reason = "this is where one looks for the type")]
mod upstream;
mod wait;
mod weight;

pub use crate::ids::{InvalidName, ServerId, UpstreamName};
pub use attempts::Attempts;
pub use pick::Placement;
pub use upstream::{Among, Pick, Queued, Upstream};
