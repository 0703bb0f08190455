//! The Pingora program around the core: it translates, calls the core and applies what that says.

mod access_log;
mod admin;
mod arrival;
pub mod clock;
mod context;
mod control;
mod cut;
mod discovery;
mod dns;
mod edit;
pub mod explanation;
pub mod folders;
mod gateway;
mod handover;
mod hangup;
mod health;
pub mod keys;
mod leaving;
mod limits;
mod line;
mod listener;
mod listening;
mod metrics;
mod peer;
mod placing;
mod record;
mod reply;
mod service_manager;
mod sessions;
mod snapshot;
mod start;
mod state;
mod stream;
mod upgrade;

pub use handover::decline;
pub use start::run;
