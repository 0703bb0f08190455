//! What ties a session to a server: the entries of an upstream's chain. It reads requests and writes tokens; it never asks
//! which servers are up.

pub mod affinity;
pub mod answers;
pub mod chain;
pub mod cookie;
pub mod edits;
pub mod entry;
pub mod found;
pub mod header;
pub mod learn;
pub mod secrets;
pub mod spec;
