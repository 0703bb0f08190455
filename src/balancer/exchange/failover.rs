//! What becomes of a session whose server cannot serve it: one action per cause, as far as the entry that ties it lets it move.

use std::time::Duration;

use ::http::StatusCode;
use rand_core::CryptoRng;

use super::{Exchange, Outcome};
use crate::balancer::reason::{Fate, Reason};
use crate::sticky::answers::Writes;
use crate::sticky::entry::EntryKind;
use crate::sticky::spec::WhenFull;
use crate::time::Now;
use crate::upstream::failover::{Action, Cause};
use crate::upstream::health::Health;
use crate::upstream::spec::{Admin, Then};

impl Exchange {
    /// What becomes of a session whose server cannot serve it.
    pub(crate) fn lost(
        &mut self,
        entry: usize,
        cause: Cause,
        now: Now,
        random: &mut impl CryptoRng,
    ) -> Result<Outcome, StatusCode> {
        let (fate, place) = (self.fate(entry, cause, now)?, self.place_named(entry, now, random));
        // Where too few servers are up, the place may be where the session is tied after all.
        let fate = if place.server().is_some_and(|at| self.is_tied_to(entry, at)) { Fate::Kept } else { fate };
        Ok(Outcome { entry: Some(entry), fate, cause: Some(cause), reason: Reason::Lost(cause), place })
    }

    fn fate(&self, entry: usize, cause: Cause, now: Now) -> Result<Fate, StatusCode> {
        let for_good = match self.pool.chain.entries()[entry].writes() {
            Writes::Always | Writes::WhenSpoken | Writes::InTable => Fate::Moved,
            // Where Burdock does not write the tie, it cannot move it.
            Writes::Never => Fate::Detour,
        };
        match self.action(entry, cause) {
            Action::Permanent => Ok(for_good),
            Action::Temporary(None) => Ok(Fate::Detour),
            Action::Temporary(Some(limit)) if self.lost_for(entry, cause, now) < limit => Ok(Fate::Detour),
            Action::Temporary(Some(_)) => Ok(for_good),
            Action::Refuse(status) => Err(status),
        }
    }

    fn action(&self, entry: usize, cause: Cause) -> Action {
        match self.when_full(entry).filter(|_| cause == Cause::Full) {
            Some(WhenFull::Keep) => Action::Refuse(StatusCode::SERVICE_UNAVAILABLE),
            Some(WhenFull::Spill) => Action::Temporary(None),
            None => self.wished(entry, cause).unwrap_or_else(|| self.pool.upstream.spec().failover.action(cause)),
        }
    }

    /// What the operator has wished for those who are left when a drain is over.
    fn wished(&self, entry: usize, cause: Cause) -> Option<Action> {
        let at = *self.tied(entry).first().filter(|_| cause == Cause::Drained)?;
        match self.pool.upstream.servers()[at].spec().admin {
            Admin::Drain { then: Then::Move, .. } => Some(Action::Permanent),
            Admin::Drain { then: Then::Refuse, .. } => Some(Action::Refuse(StatusCode::SERVICE_UNAVAILABLE)),
            Admin::Drain { then: Then::AsConfigured, .. } | Admin::Ready | Admin::Maint | Admin::Leaving { .. } => None,
        }
    }

    pub(crate) fn when_full(&self, entry: usize) -> Option<WhenFull> {
        match &self.pool.chain.entries()[entry].kind {
            EntryKind::Hash(hash) => hash.spec.when_full,
            EntryKind::Cookie(_) | EntryKind::Header(_) | EntryKind::Route(_) | EntryKind::Learn(_) => None,
        }
    }

    /// How long the tied server has been unable to serve, as far as that has a beginning.
    fn lost_for(&self, entry: usize, cause: Cause, now: Now) -> Duration {
        match (self.tied(entry).first().copied(), cause) {
            (Some(at), Cause::Down) => {
                let server = &self.pool.upstream.servers()[at];
                if server.health() == Health::Up { Duration::ZERO } else { server.unchanged_for(now) }
            }
            // A server that is named and unknown all the same was there until now.
            (_, Cause::Full) | (Some(_), Cause::Unknown) => Duration::ZERO,
            (Some(at), Cause::Maint) => self.pool.upstream.servers()[at].wished_for(now),
            (Some(at), Cause::Drained) => self.pool.upstream.servers()[at].over_for(now),
            (None, Cause::Down | Cause::Maint | Cause::Drained | Cause::Unknown) => {
                now.uptime.since(*self.pool.since.lock())
            }
        }
    }
}
