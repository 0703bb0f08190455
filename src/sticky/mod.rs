//! Session persistence: the methods that tie a session to a server, and the entries of an upstream's chain that use them. It
//! reads requests and writes tokens; it does not know which servers are up.
//!
//! [`method`] lists the methods. Each implements the trait `Persistence` in a file of its own.

pub mod affinity;
pub mod answers;
pub mod chain;
pub mod cookie;
pub mod edits;
pub mod entry;
mod followed;
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
