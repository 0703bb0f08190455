//! Failover of a session whose server cannot serve it: one action per cause, within what the entry allows. It does not
//! choose the other server.

use std::time::Duration;

use ::http::StatusCode;

use super::claims::ResolvedClaim;
use crate::balancer::reason::TieOutcome;
use crate::balancer::sticky_upstream::StickyUpstream;
use crate::sticky::answers::Writes;
use crate::sticky::entry::Entry;
use crate::sticky::spec::WhenFull;
use crate::time::Now;
use crate::upstream::failover::{Action, Cause};
use crate::upstream::health::Health;
use crate::upstream::server::Server;
use crate::upstream::spec::{Admin, Then};

/// A tie that cannot be kept.
pub(super) struct LostTie<'e> {
    pub(super) upstream: &'e StickyUpstream,
    pub(super) entry: &'e Entry,
    pub(super) claim: &'e ResolvedClaim,
    pub(super) cause: Cause,
}

impl LostTie<'_> {
    /// The outcome for the tie.
    ///
    /// # Errors
    /// The status with which the request is refused.
    pub(super) fn outcome(&self, now: Now) -> Result<TieOutcome, StatusCode> {
        let for_good = match self.entry.writes() {
            Writes::Always | Writes::WhenNamed | Writes::Following | Writes::InTable => TieOutcome::Moved,
            // A tie that Burdock does not write cannot be moved.
            Writes::Never => TieOutcome::Detour,
        };
        match self.action() {
            Action::Permanent => Ok(for_good),
            Action::Temporary(None) => Ok(TieOutcome::Detour),
            Action::Temporary(Some(limit)) if self.lost_for(now) < limit => Ok(TieOutcome::Detour),
            Action::Temporary(Some(_)) => Ok(for_good),
            Action::Refuse(status) => Err(status),
        }
    }

    fn action(&self) -> Action {
        match self.entry.when_full().filter(|_| self.cause == Cause::Full) {
            Some(WhenFull::Keep) => Action::Refuse(StatusCode::SERVICE_UNAVAILABLE),
            Some(WhenFull::Spill) => Action::Temporary(None),
            None => {
                let configured = || self.upstream.upstream().spec().failover.action(self.cause);
                self.drain_action().unwrap_or_else(configured)
            }
        }
    }

    /// The action that the operator chose for the sessions that are left when a drain ends.
    fn drain_action(&self) -> Option<Action> {
        match self.server().filter(|_| self.cause == Cause::Drained)?.spec().admin {
            Admin::Drain { then: Then::Move, .. } => Some(Action::Permanent),
            Admin::Drain { then: Then::Refuse, .. } => Some(Action::Refuse(StatusCode::SERVICE_UNAVAILABLE)),
            Admin::Drain { then: Then::AsConfigured, .. } | Admin::Ready | Admin::Maint | Admin::Leaving { .. } => None,
        }
    }

    /// How long the tied server has been unable to serve; zero if that has no known start.
    fn lost_for(&self, now: Now) -> Duration {
        match (self.server(), self.cause) {
            (Some(server), Cause::Down) => {
                if server.health() == Health::Up {
                    Duration::ZERO
                } else {
                    server.unchanged_for(now)
                }
            }
            // A server that has a position but is unknown was removed just now.
            (_, Cause::Full) | (Some(_), Cause::Unknown) => Duration::ZERO,
            (Some(server), Cause::Maint) => server.admin_unchanged_for(now),
            (Some(server), Cause::Drained) => server.drained_for(now),
            (None, Cause::Down | Cause::Maint | Cause::Drained | Cause::Unknown) => now.uptime.since(self.upstream.since()),
        }
    }

    /// The server that the session is tied to; the first if there are several.
    fn server(&self) -> Option<&Server> {
        let at = *self.claim.servers().first()?;
        Some(&self.upstream.upstream().servers()[at])
    }
}
