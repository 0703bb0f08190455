//! What the balancer tells the shell to do with a request.

use ::http::StatusCode;

use super::decision::Decision;
use crate::balancer::reason::Reason;
use crate::time::Uptime;
use crate::upstream::queue::{Slot, Ticket};

/// What is to be done with a request.
#[derive(Debug)]
pub enum Assignment {
    /// Send it to the server at this position; the slot is its place there and is given back when dropped.
    Send {
        at: usize,
        slot: Slot,
    },
    /// Wait for the ticket until then. If it brings a place, send the request there and call [`super::Exchange::admitted`]; if
    /// it says that the server takes nobody any more, call [`super::Exchange::queue_closed`] and pick again; if nothing has come
    /// by then, pick again. If the client goes away, drop the ticket and call [`super::Exchange::client_gone`].
    Wait(Waiting),
    Refuse(Refusal),
}

/// A request that waits for a place at a full server.
#[derive(Debug)]
pub struct Waiting {
    pub ticket: Ticket,
    pub until: Uptime,
    /// What is decided if a place comes.
    pub decision: Decision,
}

/// An answer that Burdock gives itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    pub reason: Reason,
}
