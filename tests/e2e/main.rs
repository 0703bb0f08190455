//! Burdock from end to end: the real binary, real sockets, real servers, real signals. Every test's name is a rule.
//!
//! Each test has a loopback address of its own ([`harness::Site`]), so all of them run at once. Nothing is mocked and nothing
//! sleeps for luck: where time must pass, a condition is waited for. `BURDOCK_FULL=1` runs the loops at full length.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::disallowed_methods)]

mod harness;

mod admin;
mod affinity;
mod browser;
mod commands;
mod concurrent_requests;
mod connections;
mod cookie;
mod ctl;
mod demo;
mod dns;
mod drain;
mod engines;
mod examples;
mod explain;
mod failover;
mod forwarded;
mod headers;
mod health;
mod learned;
mod log;
mod malformed_requests;
mod marked_down;
mod metrics;
mod modes;
mod monitoring;
mod ordinary_user;
mod passive;
mod peers;
mod persistence;
mod private;
mod protocol;
mod queue;
mod redispatch;
mod reload;
mod reload_under_load;
mod route_and_hash;
mod sessions;
mod shutdown;
mod slow_disk;
mod states;
mod stickiness;
mod strict_http;
mod systemd;
mod token;
mod top;
mod upgrade;
mod upgrade_windows;
mod websocket;
