//! A server as tokens and tables refer to it. It knows nothing about the server's state.

use std::net::SocketAddr;

use crate::ids::ServerId;

/// A server as its clients' tokens name it.
#[derive(Clone, Copy, Debug)]
pub struct ServerRef<'s> {
    pub id: &'s ServerId,
    /// Its name in plain tokens and routes: the id, unless the configuration gives it another.
    pub route: &'s str,
    /// None for a Unix socket.
    pub address: Option<SocketAddr>,
}
