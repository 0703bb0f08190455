//! What has come of earlier picks for one request, so that it is not sent in circles.

use smallvec::SmallVec;

use super::failover::Cause;

/// What has come of earlier picks for one request, by server.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Tries that failed.
    failed: SmallVec<[(usize, u8); 2]>,
    /// Where it waited until the server took nobody any more, and why.
    sent_away: SmallVec<[(usize, Cause); 1]>,
}

impl Attempts {
    /// Notes that a try at the server at this position failed.
    pub fn failed(&mut self, at: usize) {
        match self.failed.iter_mut().find(|(server, _)| *server == at) {
            Some((_, tries)) => *tries = tries.saturating_add(1),
            None => self.failed.push((at, 1)),
        }
    }

    /// Notes that the request waited in vain for the server at this position, as that takes nobody any more.
    pub fn sent_away(&mut self, at: usize, cause: Cause) {
        self.sent_away.push((at, cause));
    }

    /// Whether no try has failed.
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// Why the server at this position is not asked again, if so.
    pub(crate) fn given_up(&self, at: usize, same_server: u8) -> Option<Cause> {
        let away = self.sent_away.iter().find(|(server, _)| *server == at).map(|&(_, cause)| cause);
        let failed = self.failed.iter().any(|&(server, tries)| server == at && tries >= same_server);
        away.or_else(|| failed.then_some(Cause::Down))
    }
}
