//! What ties a session to a server: persistence methods, and the entries of an upstream's chain that use them. It reads requests
//! and writes tokens; it never asks which servers are up.
//!
//! [`method`] lists the methods, each of which answers the questions of `persistence` in a file of its own.

pub mod affinity;
pub mod answers;
pub mod chain;
pub mod cookie;
pub mod edits;
pub mod entry;
pub mod hash;
pub mod header;
pub mod incoming;
pub mod learn;
pub mod learn_table;
pub mod method;
mod persistence;
pub mod route;
pub mod secrets;
pub mod spec;
