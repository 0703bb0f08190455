//! Settles the session's tie by the final response, once, for the server that answered: what each entry writes (see
//! `writes`), what is learned (`learning`), and the resulting edits and words. It applies no edit itself.

use ::http::{HeaderMap, HeaderValue};
use rand_core::CryptoRng;
use smallvec::SmallVec;

use super::decision::Decision;
use super::learning::{Learning, learn};
use super::ties::Ties;
use super::tokens::carried;
use super::writes::{Write, Writing, plan};
use crate::balancer::reason::{Move, TieAction, TieOutcome};
use crate::http::cache_control::make_private;
use crate::http::edits::Edits;
use crate::http::request::Response;
use crate::sticky::affinity::{self, AffinityOrder};
use crate::sticky::answers::AppSignal;
use crate::sticky::chain::Chain;
use crate::sticky::edits::Carried;
use crate::sticky::learn_table::DeferredLearn;
use crate::sticky::spec::Caching;
use crate::time::Now;
use crate::upstream::Upstream;

/// The edits of a response, and the words for the log and metrics.
#[derive(Debug)]
pub struct Settlement {
    pub action: TieAction,
    /// The final outcome: the response may have turned a detour into a move.
    pub outcome: Option<TieOutcome>,
    /// Why the tie moved to another server.
    pub moved: Option<Move>,
    pub edits: Edits,
    /// The new Cache-Control, which keeps a response with our token out of shared caches.
    pub cache_control: Option<HeaderValue>,
    /// The entry whose cookie the server set too, so that the server's was dropped.
    pub dropped: Option<usize>,
    /// Sessions to learn when the response is complete.
    pub pending: Vec<DeferredLearn>,
}

/// Settles the tie. The server of the decision has sent this final response (or 101).
pub(super) fn settle(
    ties: &Ties<'_>,
    decided: Option<Decision>,
    response: &Response<'_>,
    now: Now,
    random: &mut impl CryptoRng,
) -> Settlement {
    let chain = ties.upstream.chain();
    // The first of several headers counts.
    let header = response.headers.get(&affinity::HEADER);
    let order = header.and_then(|value| affinity::order(value, chain.affinity()));
    let served = decided.map(|decision| end_detour(chain, decision, response.headers, now));
    if let Some(served) = &served {
        // A tie that is written now is valid from now on.
        ties.upstream.upstream().servers()[served.at].live().claimed(now.uptime);
    }
    let decision = served.map(|served| apply_move(ties.upstream.upstream(), served, order.as_ref()));
    let (writes, learned) = match &decision {
        Some(decision) if ties.info.ties() => {
            let writing = Writing { decision, order: order.as_ref(), response, now };
            (plan(ties, &writing), learn(ties, &writing))
        }
        Some(_) | None => (SmallVec::from_elem(None, ties.claims.len()), Learning::default()),
    };
    let carried = carried(ties, decision.as_ref(), &writes, now, random);
    let is_moved = writes.contains(&Some(Write::Move)) || learned.action == Some(TieAction::Rewritten);
    let outcome = served.map(|served| served.outcome);
    let (edits, dropped) = response_edits(ties, response.headers, &carried, now);
    Settlement {
        action: action(ties, outcome, &writes, &learned, response.headers, now),
        outcome,
        moved: decision.filter(|_| is_moved).and_then(|decision| why_moved(&decision, order)),
        edits,
        dropped,
        cache_control: is_private(chain, &writes).then(|| make_private(response.headers)).flatten(),
        pending: learned.pending,
    }
}

/// The edits of an informational response, which settles nothing.
pub(super) fn interim_edits(ties: &Ties<'_>, headers: &HeaderMap, now: Now) -> Edits {
    let nothing: SmallVec<[Option<Carried>; 2]> = SmallVec::from_elem(None, ties.claims.len());
    response_edits(ties, headers, &nothing, now).0
}

/// The edits, and the entry whose cookie the server set too.
fn response_edits(ties: &Ties<'_>, headers: &HeaderMap, carried: &[Option<Carried>], now: Now) -> (Edits, Option<usize>) {
    let mut edits = Edits::default();
    let dropped = ties.upstream.chain().edit_response(headers, carried, &ties.info.reader(now), now, &mut edits);
    if headers.contains_key(&affinity::HEADER) {
        edits.remove(affinity::HEADER.clone());
    }
    (edits, dropped)
}

/// Turns a detour into a move if the application created a session: the session is at this server now.
fn end_detour(chain: &Chain, decision: Decision, headers: &HeaderMap, now: Now) -> Decision {
    let creates = || chain.entries().iter().any(|entry| entry.signal(headers, now) == AppSignal::Creates);
    match decision.outcome {
        TieOutcome::Detour if creates() => Decision { outcome: TieOutcome::Moved, ..decision },
        TieOutcome::Detour | TieOutcome::Kept | TieOutcome::New | TieOutcome::Moved => decision,
    }
}

/// Ties the session to the server that the application orders, if that server accepts new sessions.
fn apply_move(upstream: &Upstream, served: Decision, order: Option<&AffinityOrder>) -> Decision {
    let Some(AffinityOrder::MoveTo(id)) = order else { return served };
    let other = upstream.position(id).filter(|&at| at != served.at);
    match other.filter(|&at| upstream.servers()[at].accepts_new()) {
        Some(at) => Decision { outcome: TieOutcome::Moved, at, ..served },
        None => served,
    }
}

fn is_private(chain: &Chain, writes: &[Option<Write>]) -> bool {
    let mut entries = chain.entries().iter().zip(writes);
    entries.any(|(entry, write)| write.is_some() && entry.caching() == Caching::Private)
}

/// What happened to the tie. What was written takes precedence over what was learned.
fn action(
    ties: &Ties<'_>,
    outcome: Option<TieOutcome>,
    writes: &[Option<Write>],
    learned: &Learning,
    headers: &HeaderMap,
    now: Now,
) -> TieAction {
    let written = writes.iter().flatten().next().map(|write| write.action());
    if let Some(action) = written.or(learned.action) {
        return action;
    }
    let mut tied = ties.entries().filter(|(_, claim)| claim.is_tie());
    if ties.info.ties() && tied.any(|(entry, _)| entry.signal(headers, now) == AppSignal::Deletes) {
        return TieAction::Forgotten;
    }
    if outcome == Some(TieOutcome::Kept) { TieAction::Kept } else { TieAction::None }
}

fn why_moved(decision: &Decision, order: Option<AffinityOrder>) -> Option<Move> {
    match (decision.cause, order) {
        (_, Some(AffinityOrder::MoveTo(_))) if decision.outcome == TieOutcome::Moved => Some(Move::Application),
        (Some(cause), _) if decision.outcome == TieOutcome::Moved => Some(Move::Lost(cause)),
        _ => None,
    }
}
