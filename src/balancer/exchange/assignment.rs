//! The balancer's answer to a pick: what the shell does with the request. Values only.

use ::http::StatusCode;

use super::decision::Decision;
use crate::balancer::reason::Reason;
use crate::time::Uptime;
use crate::upstream::queue::{Slot, Ticket};

/// What to do with a request.
#[derive(Debug)]
pub enum Assignment {
    /// Send it to the server at this position. The slot is its place there, and is released when dropped.
    Send {
        at: usize,
        slot: Slot,
    },
    /// Wait for the ticket, until `until` at most. If it resolves to a slot, call [`super::Exchange::admitted`] and send the
    /// request there. If the queue is closed, call [`super::Exchange::queue_closed`] and pick again. If the time is over,
    /// pick again. If the client goes away, drop the ticket and call [`super::Exchange::client_gone`].
    Wait(Waiting),
    Refuse(Refusal),
    /// The request has failed at every server that it could go to. The last failure is the answer: 502, or 504 if it was a
    /// timeout.
    GiveUp(Reason),
}

/// A request that waits for a slot at a full server.
#[derive(Debug)]
pub struct Waiting {
    pub ticket: Ticket,
    pub until: Uptime,
    /// The decision if the request gets a slot.
    pub decision: Decision,
}

/// Burdock's own answer to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    pub reason: Reason,
}
