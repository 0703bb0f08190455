//! Waiting for a place at a full server: for how long, and what is said of it. Who waits there before it, and when there is a
//! place, the server's queue knows; who ends the wait, the shell.

use std::time::Duration;

use super::{Decision, Exchange, Place, bound_of};
use crate::balancer::reason::{Fate, Reason};
use crate::sticky::spec::{Strict, WhenFull};
use crate::time::{Now, Uptime};
use crate::upstream::failover::{Cause, WAIT_TIMEOUT};
use crate::upstream::queue::Ticket;

/// A request that waits for a place at a full server.
#[derive(Debug)]
pub struct Waiting {
    pub ticket: Ticket,
    pub until: Uptime,
    /// What is decided if a place comes.
    pub decision: Decision,
}

/// How long a request has waited for places.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    /// In all; none where it did not wait.
    spent: Option<Duration>,
    /// Since when it waits now.
    since: Option<Uptime>,
}

impl Exchange {
    /// The place that the request waited for is there.
    pub fn admitted(&mut self, decision: Decision, now: Now) {
        self.wait.end(now);
        self.decided = Some(decision);
    }

    /// The server that the request waited for takes nobody any more.
    pub fn sent_away(&mut self, decision: Decision, cause: Cause) {
        self.tried.sent_away(decision.at, cause);
    }

    /// The client has not waited so long. Tells the reason of such a request.
    pub fn left(&mut self, decision: Decision, now: Now) -> Reason {
        self.wait.end(now);
        match decision.fate {
            Fate::Kept => Reason::Lost(Cause::Full),
            Fate::New | Fate::Moved | Fate::Detour => Reason::NoServer,
        }
    }

    /// How long the request has waited for places at full servers; none where it did not.
    pub fn waited(&self) -> Option<Duration> {
        self.wait.spent
    }

    /// Waits for the server that this entry names, where it is full and may be waited for.
    pub(crate) fn await_tied(&self, entry: usize, cause: Cause, now: Now) -> Option<Place> {
        let patience = self.wait.left(self.patience(entry).filter(|_| cause == Cause::Full)?)?;
        let bound = bound_of(&self.pool.chain.entries()[entry]);
        let queued = self.tied(entry).iter().find_map(|&at| self.pool.upstream.queue_tied(at, bound, &self.tried, now))?;
        Some(Place::Awaited(queued, patience))
    }

    /// How long a session of this entry waits for its server.
    fn patience(&self, entry: usize) -> Option<Duration> {
        let configured = self.pool.upstream.spec().failover.full.wait;
        match (self.pool.chain.entries()[entry].strict, self.when_full(entry)) {
            (Strict::Refuse(_), _) | (Strict::Off, Some(WhenFull::Keep)) => configured.or(Some(WAIT_TIMEOUT)),
            (Strict::Off, Some(WhenFull::Spill)) => None,
            (Strict::Off, None) => configured,
        }
    }
}

impl Wait {
    /// What is left of the time that the request may wait.
    pub(crate) fn left(self, patience: Duration) -> Option<Duration> {
        patience.checked_sub(self.spent.unwrap_or_default()).filter(|left| !left.is_zero())
    }

    /// Begins to wait for so long, and tells until when.
    pub(crate) fn begin(&mut self, now: Now, patience: Duration) -> Uptime {
        self.since = Some(now.uptime);
        now.uptime.plus(patience)
    }

    pub(crate) fn end(&mut self, now: Now) {
        if let Some(since) = self.since.take() {
            self.spent = Some(self.spent.unwrap_or_default() + now.uptime.since(since));
        }
    }
}
