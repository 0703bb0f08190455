//! The core's rules as stories: a balancer, clients with cookies, and a clock that the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic where it fails")]

mod accept;
mod affinity;
mod changes;
mod edits;
mod expiry;
mod failover;
mod found;
mod headers;
mod health;
mod language;
mod learn;
mod leaving;
mod modes;
mod panic;
mod parallel;
mod passive;
mod picks;
mod ring;
mod routes;
mod settling;
mod slow_start;
mod states;
mod strict;
mod succession;
mod tokens;
mod waiting;
