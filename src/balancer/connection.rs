//! The session of a client connection's requests that have no session name yet. HTTP/2 streams and pipelined requests of one
//! client belong together, so they go to one server.

use crate::ids::{ServerId, UpstreamName};
use crate::lock::Mutex;
use crate::session::number::SessionNumber;

/// Belongs to a client's connection. Requests that a proxy relays do not use it, because the proxy's
/// connection carries many clients.
#[derive(Debug, Default)]
pub struct Connection(Mutex<Option<Provisional>>);

/// The session that a connection's nameless requests to one upstream share.
#[derive(Clone, Debug)]
pub(super) struct Provisional {
    pub(super) upstream: UpstreamName,
    pub(super) session: SessionNumber,
    pub(super) server: ServerId,
}

impl Connection {
    /// Calls `begin` with the connection's provisional session at this upstream, which it may replace. One request at a
    /// time.
    pub(super) fn with<T>(
        &self,
        upstream: &UpstreamName,
        begin: impl FnOnce(Option<Provisional>) -> (T, Option<Provisional>),
    ) -> T {
        let mut held = self.0.lock();
        let (result, now) = begin(held.clone().filter(|session| session.upstream == *upstream));
        if now.is_some() {
            *held = now;
        }
        result
    }
}
