//! The core's rules as stories: a balancer, clients with cookies, and a clock that the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic where it fails")]

mod accept;
mod affinity;
mod balance;
mod drain;
mod edits;
mod expiry;
mod failover;
mod follows;
mod headers;
mod health;
mod language;
mod learn;
mod modes;
mod overrides;
mod panic;
mod parallel;
mod passive;
mod picks;
mod queue;
mod ring;
mod route_and_hash;
mod routes;
mod settle;
mod slow_start;
mod states;
mod strict;
mod tokens;
mod upgrade;
