//! Reports a decision: to the server by a header, to the log and metrics by words. It decides nothing.

use ::http::HeaderValue;

use super::claims::ResolvedClaim;
use super::decision::Decision;
use crate::balancer::reason::TieOutcome;
use crate::session::claim::{Issuer, Named};
use crate::session::foreign_format::ForeignFormat;
use crate::sticky::affinity::{self, Arrival};
use crate::upstream::Upstream;
use crate::upstream::server::Server;

/// The server that the session was tied to, if another serves it.
pub(super) fn left_server<'u>(upstream: &'u Upstream, claims: &[ResolvedClaim], decision: &Decision) -> Option<&'u Server> {
    let at = match claims.get(decision.entry?)? {
        ResolvedClaim::Tied(tied, _) if !tied.contains(&decision.at) => *tied.first()?,
        ResolvedClaim::Keyed(Some(home), _) if *home != decision.at => *home,
        ResolvedClaim::Absent
        | ResolvedClaim::Fresh(..)
        | ResolvedClaim::Tied(..)
        | ResolvedClaim::Keyed(..)
        | ResolvedClaim::Unknown(_)
        | ResolvedClaim::Bad(_) => return None,
    };
    Some(&upstream.servers()[at])
}

/// The proxy whose token decided, if it was not Burdock's own.
pub(super) fn foreign_format(claims: &[ResolvedClaim], decision: &Decision) -> Option<ForeignFormat> {
    match claims.get(decision.entry?)? {
        ResolvedClaim::Tied(_, Named { issuer: Issuer::Other(format), .. }) => Some(*format),
        ResolvedClaim::Absent
        | ResolvedClaim::Fresh(..)
        | ResolvedClaim::Tied(..)
        | ResolvedClaim::Keyed(..)
        | ResolvedClaim::Unknown(_)
        | ResolvedClaim::Bad(_) => None,
    }
}

/// The header that announces the session to the application. None if the session does not come from another server.
pub(super) fn announcement(upstream: &Upstream, claims: &[ResolvedClaim], decision: &Decision) -> Option<HeaderValue> {
    let arrival = match decision.outcome {
        TieOutcome::Kept | TieOutcome::New => return None,
        TieOutcome::Moved => Arrival::Moved,
        TieOutcome::Detour => Arrival::Detour,
    };
    let from = left_server(upstream, claims, decision).map(Server::id);
    affinity::announcement(arrival, from, decision.reason.as_str())
}
