//! Where client connections come in: the listener, which gives each to the proxy.

pub mod listener;
