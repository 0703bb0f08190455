//! What the claims come to: each with its server looked up, and the first whose server may serve the session now. What becomes
//! of a session for which there is none is not decided here.

use ::http::StatusCode;
use smallvec::SmallVec;

use super::super::Pool;
use super::{Exchange, Intent, bound_of};
use crate::session::claim::{BadClaim, Claim, Named, Refused};
use crate::session::name::SessionName;
use crate::sticky::spec::Strict;
use crate::time::Now;
use crate::upstream::Pick;
use crate::upstream::failover::Cause;

/// A claim after its server has been looked up.
#[derive(Clone, Debug)]
pub enum Standing {
    Absent,
    /// Tied to a server: the first of these positions that serves. Several are there where servers share a route.
    Tied(SmallVec<[usize; 1]>, Named),
    /// A session with a name and nothing that ties it.
    Fresh(SessionName, Option<BadClaim>),
    /// Its name belongs to the server at this position. None where no server is on the ring.
    Keyed(Option<usize>, SessionName),
    /// Tied to a server that is not there.
    Unknown(Named),
    Bad(Refused),
}

/// What the claims come to.
pub(crate) enum Verdict {
    Hit(usize, Pick),
    /// The first tie that cannot be kept.
    Lost(usize, Cause),
    /// A tie that cannot be kept, for this cause, and must not be moved.
    Strict(usize, Cause, StatusCode),
    /// No claim names a server.
    Untied,
}

impl Exchange {
    pub(crate) fn judge(&self, now: Now) -> Verdict {
        let mut lost = None;
        for (nth, (entry, standing)) in self.pool.chain.entries().iter().zip(&self.standings).enumerate() {
            let admitted = match standing {
                Standing::Tied(candidates, _) => self.admit_first(candidates, now),
                Standing::Keyed(Some(home), _) => self.pool.upstream.admit_home(*home, bound_of(entry), &self.tried, now),
                Standing::Unknown(_) => Err(Cause::Unknown),
                Standing::Absent | Standing::Fresh(..) | Standing::Bad(_) | Standing::Keyed(None, _) => continue,
            };
            match (admitted, entry.strict) {
                (Ok(pick), _) => return Verdict::Hit(nth, pick),
                (Err(Cause::Full), Strict::Refuse(_)) => {
                    return Verdict::Strict(nth, Cause::Full, StatusCode::SERVICE_UNAVAILABLE);
                }
                (Err(cause), Strict::Refuse(status)) => return Verdict::Strict(nth, cause, status),
                (Err(cause), Strict::Off) => lost = lost.or(Some((nth, cause))),
            }
        }
        lost.map_or(Verdict::Untied, |(entry, cause)| Verdict::Lost(entry, cause))
    }

    /// A place at the first of these servers that can serve the session; otherwise why the first cannot.
    fn admit_first(&self, candidates: &[usize], now: Now) -> Result<Pick, Cause> {
        let mut first = None;
        for &at in candidates {
            if self.intent == Intent::Serve {
                self.pool.upstream.servers()[at].live().claimed(now.uptime);
            }
            match self.pool.upstream.admit_tied(at, &self.tried, now) {
                Ok(pick) => return Ok(pick),
                Err(cause) => first = first.or(Some(cause)),
            }
        }
        Err(first.unwrap_or(Cause::Unknown))
    }

    /// The servers that this entry names.
    pub(crate) fn tied(&self, entry: usize) -> &[usize] {
        match &self.standings[entry] {
            Standing::Tied(candidates, _) => candidates,
            Standing::Keyed(home, _) => home.as_slice(),
            Standing::Absent | Standing::Fresh(..) | Standing::Unknown(_) | Standing::Bad(_) => &[],
        }
    }

    pub(crate) fn is_tied_to(&self, entry: usize, at: usize) -> bool {
        self.tied(entry).contains(&at)
    }
}

impl Pool {
    /// A claim with its server looked up.
    pub(crate) fn standing(&self, claim: Claim<'_>) -> Standing {
        match claim {
            Claim::Absent => Standing::Absent,
            Claim::Bad(bad) => Standing::Bad(bad),
            Claim::Fresh(name, bad) => Standing::Fresh(name, bad),
            Claim::Keyed(name) => Standing::Keyed(self.upstream.home(&name.octets()), name),
            Claim::Names(server, named) => {
                let candidates = self.resolve(&server);
                if candidates.is_empty() { Standing::Unknown(named) } else { Standing::Tied(candidates, named) }
            }
        }
    }
}
