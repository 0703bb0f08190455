//! What requests of one client connection share before they have a tie: streams and pipelined requests that come without a
//! name are one session, so they go to one server.

use crate::ids::{ServerId, UpstreamName};
use crate::lock::Mutex;
use crate::session::number::SessionNumber;

/// Kept with a client's connection. Not for a connection from a trusted proxy, which carries many clients.
#[derive(Debug, Default)]
pub struct Connection(Mutex<Option<Provisional>>);

/// The session that a connection's nameless requests to one upstream have in common.
#[derive(Clone, Debug)]
pub(super) struct Provisional {
    pub(super) upstream: UpstreamName,
    pub(super) session: SessionNumber,
    pub(super) server: ServerId,
}

impl Connection {
    /// Lets `begin` see, and replace, the connection's provisional session at this upstream; one request at a time.
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
