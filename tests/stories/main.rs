//! The core's rules as stories: a balancer, clients with cookies, and a clock that moves when told to.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end where it fails")]

mod expiry;
mod failover;
mod language;
mod parallel;
mod picks;
mod routes;
mod settling;
mod states;
mod tokens;
