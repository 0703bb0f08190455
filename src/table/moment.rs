//! The time of an operation, with the table's lifetime by which sessions are judged at that time.

use super::entry::Session;
use crate::session::claim::BadClaim;
use crate::session::lifetime::{Due, Lifetime};
use crate::session::stamps::Stamps;
use crate::time::{Skipped, UnixSeconds};

/// Decides whether a session is live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) lifetime: Lifetime,
    pub(crate) now: UnixSeconds,
    /// What the wall clock has skipped.
    pub(crate) skipped: Skipped,
}

impl Moment {
    pub(crate) fn check(self, session: &Session) -> Result<(), BadClaim> {
        self.check_stamps(session.stamps)
    }

    pub(crate) fn check_stamps(self, stamps: Stamps) -> Result<(), BadClaim> {
        self.lifetime.check(stamps.shifted(self.skipped), self.now)
    }

    pub(crate) fn lives(self, session: &Session) -> bool {
        self.check(session).is_ok()
    }

    /// The stamps of a session that is used now.
    pub(crate) fn renew(self, stamps: Stamps) -> Stamps {
        match self.lifetime.renewal(stamps, self.now) {
            Due::Now => Stamps { seen: self.now, ..stamps },
            Due::Later => stamps,
        }
    }
}
