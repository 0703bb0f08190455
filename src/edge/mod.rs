//! Listeners for client connections, which pass each to the proxy.

pub mod listener;
