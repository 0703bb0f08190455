//! Makes the tokens that a response carries. Which entries write one is decided in `writes`.

use rand_core::CryptoRng;
use smallvec::SmallVec;

use super::claims::ResolvedClaim;
use super::decision::Decision;
use super::ties::Ties;
use super::writes::Write;
use crate::session::claim::Named;
use crate::session::name::SessionName;
use crate::session::number::SessionNumber;
use crate::session::stamps::Stamps;
use crate::session::tie::Tie;
use crate::sticky::edits::Carried;
use crate::time::Now;

/// What the response carries for each entry.
pub(super) fn carried(
    ties: &Ties<'_>,
    decision: Option<&Decision>,
    writes: &[Option<Write>],
    now: Now,
    random: &mut impl CryptoRng,
) -> SmallVec<[Option<Carried>; 4]> {
    let entries = ties.upstream.chain().entries().iter();
    entries
        .zip(writes)
        .map(|(entry, write)| match (write, decision) {
            (None, _) | (_, None) => None,
            (Some(Write::End), _) => Some(Carried::Deletion),
            (Some(_), Some(decision)) => {
                let tie = tie(ties, decision, now, random);
                ties.upstream.token_made(decision.at, tie.session, now);
                entry.token(&tie, random).map(Carried::Token)
            }
        })
        .collect()
}

fn tie<'e>(ties: &Ties<'e>, decision: &Decision, now: Now, random: &mut impl CryptoRng) -> Tie<'e> {
    let named = named(ties.claims, decision);
    let name = named.and_then(|named| named.session.as_ref()).or(ties.session);
    Tie {
        tag: ties.upstream.tag(decision.at),
        route: ties.upstream.upstream().servers()[decision.at].route(),
        session: name.and_then(SessionName::number).unwrap_or_else(|| SessionNumber::random(random)),
        stamps: stamps(named, now),
    }
}

/// A session keeps its issue date through renewals and moves.
fn stamps(named: Option<&Named>, now: Now) -> Stamps {
    let before = named.and_then(|named| named.stamps);
    Stamps { issued: before.map_or(now.wall, |stamps| stamps.issued.min(now.wall)), seen: now.wall }
}

/// What the deciding claim says about the session.
fn named<'e>(claims: &'e [ResolvedClaim], decision: &Decision) -> Option<&'e Named> {
    claims.get(decision.entry?)?.named()
}
