//! The outcomes of earlier picks for one request, so that it is not sent to the same servers again.

use smallvec::SmallVec;

use super::failover::Cause;

/// The outcomes of earlier picks for one request, by server.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Failed attempts.
    failed: SmallVec<[(usize, u8); 2]>,
    /// Servers whose queue closed while the request waited there, and why.
    queue_closed: SmallVec<[(usize, Cause); 1]>,
}

impl Attempts {
    /// Records that an attempt at the server at this position failed.
    pub fn failed(&mut self, at: usize) {
        match self.failed.iter_mut().find(|(server, _)| *server == at) {
            Some((_, tries)) => *tries = tries.saturating_add(1),
            None => self.failed.push((at, 1)),
        }
    }

    /// Records that the queue of the server at this position closed while the request waited there.
    pub fn queue_closed(&mut self, at: usize, cause: Cause) {
        self.queue_closed.push((at, cause));
    }

    /// Whether no attempt has failed.
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// The servers that are not tried again.
    pub(crate) fn all_given_up(&self, same_server: u8) -> SmallVec<[usize; 4]> {
        let closed = self.queue_closed.iter().map(|&(server, _)| server);
        let failed = self.failed.iter().filter(|(_, tries)| *tries >= same_server).map(|&(server, _)| server);
        let mut all: SmallVec<[usize; 4]> = closed.chain(failed).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Why the server at this position is not tried again, if so.
    pub(crate) fn given_up(&self, at: usize, same_server: u8) -> Option<Cause> {
        let closed = self.queue_closed.iter().find(|(server, _)| *server == at).map(|&(_, cause)| cause);
        let failed = self.failed.iter().any(|&(server, tries)| server == at && tries >= same_server);
        closed.or_else(|| failed.then_some(Cause::Down))
    }
}
