//! Decides what each entry of the chain writes into a response, by the table in docs/reference.md, "Settling". It makes no
//! tokens.

use ::http::StatusCode;
use smallvec::SmallVec;

use super::claims::ResolvedClaim;
use super::decision::Decision;
use super::request_info::RequestInfo;
use super::ties::Ties;
use crate::balancer::reason::{TieAction, TieOutcome};
use crate::http::request::Response;
use crate::session::claim::Issuer;
use crate::session::lifetime::Due;
use crate::sticky::affinity::AffinityOrder;
use crate::sticky::answers::{AppSignal, Medium, Writes};
use crate::sticky::entry::Entry;
use crate::sticky::spec::NewTieOn;
use crate::time::Now;

/// What one entry writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Write {
    Renewal,
    Move,
    New,
    /// A new tie that replaces an invalid one.
    Replacement,
    /// A token of ours that replaces another proxy's.
    Adoption,
    /// The client forgets its tie.
    End,
}

/// What each entry writes.
pub(super) type Plan = SmallVec<[Option<Write>; 8]>;

/// What the entries' writes depend on, apart from their claims.
pub(super) struct Writing<'w> {
    pub(super) decision: &'w Decision,
    pub(super) order: Option<&'w AffinityOrder>,
    pub(super) response: &'w Response<'w>,
    pub(super) now: Now,
}

/// Plans what each entry writes.
pub(super) fn plan(ties: &Ties<'_>, writing: &Writing<'_>) -> Plan {
    if writing.order == Some(&AffinityOrder::Release) {
        return ties.entries().map(|(entry, claim)| release(entry, claim)).collect();
    }
    let entries = ties.entries().enumerate();
    let mut plan: Plan = entries.map(|(nth, (entry, claim))| writing.write(nth, entry, claim, ties.info)).collect();
    if writing.begins_tie(ties.claims) && plan.iter().all(Option::is_none) {
        // Burdock does not know yet whether this client keeps cookies or headers, so it gets one of each kind.
        for medium in [Medium::Cookie, Medium::Header] {
            let mut entries = ties.upstream.chain().entries().iter();
            if let Some(nth) =
                entries.position(|entry| entry.medium() == Some(medium) && may_insert(entry, writing.response, ties.info))
            {
                plan[nth] = Some(Write::New);
            }
        }
    }
    for ((entry, _), write) in ties.entries().zip(&mut plan) {
        *write = write.filter(|write| !write.begins() || ties_new(entry.new_tie_on(), writing.response.status));
    }
    plan
}

impl Writing<'_> {
    fn write(&self, nth: usize, entry: &Entry, claim: &ResolvedClaim, info: &RequestInfo) -> Option<Write> {
        let Self { decision, order, response, now } = *self;
        match entry.writes() {
            Writes::Never | Writes::InTable => None,
            Writes::WhenNamed | Writes::Following => match entry.signal(response.headers, now) {
                AppSignal::Creates => into_app_value(claim, decision),
                AppSignal::Deletes => ends_with_app(entry, claim),
                AppSignal::Silent => None,
            },
            Writes::Always if entry.is_preserved(response.headers) => None,
            Writes::Always => match decision.outcome {
                TieOutcome::Detour => None,
                TieOutcome::Kept if decision.entry == Some(nth) => renewal(entry, claim, order, now),
                TieOutcome::Kept | TieOutcome::Moved => correction(claim, decision.at),
                TieOutcome::New => {
                    let replaces = matches!(claim, ResolvedClaim::Bad(_)) && info.begins(entry.verbs());
                    replaces.then_some(Write::Replacement)
                }
            },
        }
    }

    /// Whether a session without a tie gets one.
    fn begins_tie(&self, claims: &[ResolvedClaim]) -> bool {
        let moved = matches!(self.order, Some(AffinityOrder::MoveTo(_))) && self.decision.outcome == TieOutcome::Moved;
        self.decision.outcome == TieOutcome::New || (moved && is_untied(claims))
    }
}

fn may_insert(entry: &Entry, response: &Response<'_>, info: &RequestInfo) -> bool {
    entry.writes() == Writes::Always && info.begins(entry.verbs()) && !entry.is_preserved(response.headers)
}

/// Whether the request has no tie that could move.
fn is_untied(claims: &[ResolvedClaim]) -> bool {
    claims.iter().all(|claim| matches!(claim, ResolvedClaim::Absent | ResolvedClaim::Fresh(..)))
}

fn release(entry: &Entry, claim: &ResolvedClaim) -> Option<Write> {
    (matches!(entry.writes(), Writes::Always | Writes::Following) && claim.is_tie()).then_some(Write::End)
}

/// The application has ended the session: the cookie that follows its own ends too.
fn ends_with_app(entry: &Entry, claim: &ResolvedClaim) -> Option<Write> {
    (entry.writes() == Writes::Following && claim.is_tie()).then_some(Write::End)
}

/// What an entry writes into, or beside, the cookie or header that the application has just sent.
fn into_app_value(claim: &ResolvedClaim, decision: &Decision) -> Option<Write> {
    Some(match (decision.outcome, claim) {
        (TieOutcome::Detour, _) => return None,
        (_, ResolvedClaim::Bad(_)) => Write::Replacement,
        (_, ResolvedClaim::Absent | ResolvedClaim::Fresh(..) | ResolvedClaim::Keyed(..)) => Write::New,
        (_, ResolvedClaim::Tied(tied, named)) if tied.contains(&decision.at) => match named.issuer {
            Issuer::Burdock => Write::Renewal,
            Issuer::Other(_) => Write::Adoption,
        },
        (_, ResolvedClaim::Tied(..) | ResolvedClaim::Unknown(_)) => Write::Move,
    })
}

fn renewal(entry: &Entry, claim: &ResolvedClaim, order: Option<&AffinityOrder>, now: Now) -> Option<Write> {
    let ResolvedClaim::Tied(_, named) = claim else { return None };
    match (named.issuer, named.stamps) {
        (Issuer::Other(_), _) => Some(Write::Adoption),
        (Issuer::Burdock, Some(_)) if order == Some(&AffinityOrder::Extend) => Some(Write::Renewal),
        (Issuer::Burdock, Some(stamps)) if entry.renewal(stamps, now) == Due::Now => Some(Write::Renewal),
        (Issuer::Burdock, Some(_) | None) => None,
    }
}

/// Corrects an entry whose claim names another server than the one that answered. An entry without a claim stays as it is.
fn correction(claim: &ResolvedClaim, at: usize) -> Option<Write> {
    match claim {
        ResolvedClaim::Tied(tied, named) if tied.contains(&at) => match named.issuer {
            Issuer::Burdock => None,
            Issuer::Other(_) => Some(Write::Adoption),
        },
        ResolvedClaim::Tied(..) | ResolvedClaim::Unknown(_) => Some(Write::Move),
        ResolvedClaim::Bad(_) => Some(Write::Replacement),
        ResolvedClaim::Absent | ResolvedClaim::Fresh(..) | ResolvedClaim::Keyed(..) => None,
    }
}

/// Whether a response with this status may tie a new session.
pub(super) fn ties_new(on: NewTieOn, status: StatusCode) -> bool {
    match on {
        NewTieOn::Any => true,
        NewTieOn::Below500 => !status.is_server_error(),
        NewTieOn::Below400 => status.is_informational() || status.is_success() || status.is_redirection(),
    }
}

impl Write {
    pub(super) fn action(self) -> TieAction {
        match self {
            Self::Renewal => TieAction::Renewed,
            Self::Move | Self::Replacement | Self::Adoption => TieAction::Rewritten,
            Self::New => TieAction::Inserted,
            Self::End => TieAction::Forgotten,
        }
    }

    /// Whether it ties a session that had no valid tie.
    fn begins(self) -> bool {
        match self {
            Self::New | Self::Replacement => true,
            Self::Renewal | Self::Move | Self::Adoption | Self::End => false,
        }
    }
}
