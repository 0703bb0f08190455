//! A server as tokens and tables may refer to it. Whether it is up, nobody asks here.

use std::net::SocketAddr;

use crate::ids::ServerId;

/// A server as its clients' tokens may name it.
#[derive(Clone, Copy, Debug)]
pub struct ServerRef<'s> {
    pub id: &'s ServerId,
    /// Its name in plain tokens and routes: the id, unless the configuration gives it another.
    pub route: &'s str,
    /// None for a Unix socket.
    pub address: Option<SocketAddr>,
}
