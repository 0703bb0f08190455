//! Burdock from end to end: the real binary, real sockets, real servers, real signals. Every test's name is a rule.
//!
//! Each test has a loopback address of its own ([`harness::Site`]), so all of them run at once. Nothing is mocked and nothing
//! sleeps for luck: where time must pass, a condition is waited for. `BURDOCK_FULL=1` runs the loops at full length.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::disallowed_methods)]

mod harness;

mod admin;
mod affinity;
mod agree;
mod bad_requests;
mod browser;
mod commands;
mod connections;
mod cookie;
mod ctl;
mod demo;
mod dns;
mod drain;
mod durable;
mod examples;
mod explain;
mod failover;
mod forwarded;
mod found;
mod headers;
mod health;
mod learned;
mod leaving;
mod log;
mod marked_down;
mod metrics;
mod modes;
mod monitoring;
mod passive;
mod peers;
mod private;
mod protocol;
mod queue;
mod redispatch;
mod reload;
mod reload_storm;
mod service_manager;
mod sessions;
mod slow_disk;
mod states;
mod stickiness;
mod token;
mod upgrade;
mod websocket;
