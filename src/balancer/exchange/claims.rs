//! Resolves the claims of a request to servers, and finds the first claim whose server can serve the session now. It does
//! not decide what happens to a session without such a claim.

use ::http::StatusCode;
use smallvec::SmallVec;

use crate::balancer::sticky_upstream::StickyUpstream;
use crate::session::claim::{BadClaim, Claim, Named, Refused};
use crate::session::name::SessionName;
use crate::sticky::entry::Entry;
use crate::sticky::incoming::Purpose;
use crate::sticky::spec::Strict;
use crate::time::Now;
use crate::upstream::failover::Cause;
use crate::upstream::{Attempts, Pick, Upstream};

/// A claim with its server looked up.
#[derive(Clone, Debug)]
pub enum ResolvedClaim {
    Absent,
    /// Tied to the server at one of these positions: the first that can serve. There are several only if servers
    /// share a route.
    Tied(SmallVec<[usize; 1]>, Named),
    /// A session with a name but no tie.
    Fresh(SessionName, Option<BadClaim>),
    /// Its name belongs to the server at this position. None if no server is on the ring.
    Keyed(Option<usize>, SessionName),
    /// Tied to a server that does not exist.
    Unknown(Named),
    Bad(Refused),
}

/// The result of a request's claims.
pub(super) enum Verdict {
    /// The entry whose tie is kept, with a slot at its server.
    Hit(usize, Pick),
    /// The first tie that cannot be kept.
    Lost(usize, Cause),
    /// A tie that cannot be kept, for this cause, and must not move.
    Strict(usize, Cause, StatusCode),
    /// No claim names a server.
    Untied,
}

/// The claims of a request.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// For each entry, the claim that counts.
    pub(super) counting: SmallVec<[ResolvedClaim; 2]>,
    /// Further servers that an entry's values name, with the entry's position. One counts if only its server can serve.
    pub(super) further: Vec<(usize, ResolvedClaim)>,
}

/// When a request asks, and what it has tried.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) attempts: &'a Attempts,
    pub(super) purpose: Purpose,
    pub(super) now: Now,
}

/// The first claim in the chain whose server can serve the session, with a slot there.
pub(super) fn judge(upstream: &StickyUpstream, claims: &mut Claims, asking: Asking<'_>) -> Verdict {
    let mut lost = None;
    for (nth, entry) in upstream.chain().entries().iter().enumerate() {
        let admit = |claim: &ResolvedClaim| admit(upstream.upstream(), entry, claim, asking);
        let Some(admitted) = admit(&claims.counting[nth]) else { continue };
        let admitted = admitted.or_else(|cause| claims.exchange(nth, |claim| admit(claim)?.ok()).ok_or(cause));
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

impl Claims {
    /// Makes the first further claim of this entry count whose server admits the session.
    fn exchange(&mut self, entry: usize, admit: impl Fn(&ResolvedClaim) -> Option<Pick>) -> Option<Pick> {
        let further = self.further.iter_mut().filter(|(of, _)| *of == entry);
        let (other, pick) = further.map(|(_, claim)| claim).find_map(|claim| admit(claim).map(|pick| (claim, pick)))?;
        std::mem::swap(&mut self.counting[entry], other);
        Some(pick)
    }
}

/// A slot at the server that a claim names, or why that cannot serve. None if the claim names no server.
fn admit(upstream: &Upstream, entry: &Entry, claim: &ResolvedClaim, asking: Asking<'_>) -> Option<Result<Pick, Cause>> {
    let Asking { attempts, purpose, now } = asking;
    Some(match claim {
        ResolvedClaim::Tied(candidates, _) => admit_first(upstream, candidates, attempts, purpose, now),
        ResolvedClaim::Keyed(Some(home), _) => upstream.admit_home(*home, entry.load_factor(), attempts, now),
        ResolvedClaim::Unknown(_) => Err(Cause::Unknown),
        ResolvedClaim::Absent | ResolvedClaim::Fresh(..) | ResolvedClaim::Bad(_) | ResolvedClaim::Keyed(None, _) => {
            return None;
        }
    })
}

/// A slot at the first of these servers that can serve the session; if none can, why the first cannot.
fn admit_first(
    upstream: &Upstream,
    candidates: &[usize],
    attempts: &Attempts,
    purpose: Purpose,
    now: Now,
) -> Result<Pick, Cause> {
    let mut first = None;
    for &at in candidates {
        if purpose == Purpose::Serve {
            upstream.servers()[at].live().claimed(now.uptime);
        }
        match upstream.admit_tied(at, attempts, now) {
            Ok(pick) => return Ok(pick),
            Err(cause) => first = first.or(Some(cause)),
        }
    }
    Err(first.unwrap_or(Cause::Unknown))
}

impl ResolvedClaim {
    pub(super) fn of(claim: Claim<'_>, upstream: &StickyUpstream) -> Self {
        match claim {
            Claim::Absent => Self::Absent,
            Claim::Bad(bad) => Self::Bad(bad),
            Claim::Fresh(name, bad) => Self::Fresh(name, bad),
            Claim::Keyed(name) => Self::Keyed(upstream.upstream().home(&name.bytes()), name),
            Claim::Names(server, named) => {
                let candidates = upstream.resolve(&server);
                if candidates.is_empty() { Self::Unknown(named) } else { Self::Tied(candidates, named) }
            }
        }
    }

    /// The servers that it names.
    pub(super) fn servers(&self) -> &[usize] {
        match self {
            Self::Tied(candidates, _) => candidates,
            Self::Keyed(home, _) => home.as_slice(),
            Self::Absent | Self::Fresh(..) | Self::Unknown(_) | Self::Bad(_) => &[],
        }
    }

    /// What its token says about the session.
    pub(super) fn named(&self) -> Option<&Named> {
        match self {
            Self::Tied(_, named) | Self::Unknown(named) => Some(named),
            Self::Absent | Self::Fresh(..) | Self::Keyed(..) | Self::Bad(_) => None,
        }
    }

    /// What is wrong with it.
    pub(super) fn flaw(&self) -> Option<BadClaim> {
        match self {
            Self::Bad(bad) => Some(bad.why),
            Self::Fresh(_, bad) => *bad,
            Self::Absent | Self::Tied(..) | Self::Keyed(..) | Self::Unknown(_) => None,
        }
    }

    /// Whether the request carries a tie of this entry, valid or not.
    pub(super) fn is_tie(&self) -> bool {
        match self {
            Self::Tied(..) | Self::Unknown(_) | Self::Bad(_) => true,
            Self::Absent | Self::Fresh(..) | Self::Keyed(..) => false,
        }
    }
}
