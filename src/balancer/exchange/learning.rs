//! What the final response changes in session tables. It writes no header.

use super::ties::Ties;
use super::writes::{Writing, ties_new};
use crate::balancer::reason::{TieAction, TieOutcome};
use crate::sticky::affinity::AffinityOrder;
use crate::sticky::incoming::RequestNames;
use crate::sticky::learn::{LearnMethod, Moved, ResponseSignals};
use crate::sticky::learn_table::DeferredLearn;
use crate::table::Tied;

/// The result of learning.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// None if nothing changed.
    pub(super) action: Option<TieAction>,
    /// Sessions to learn when the response is complete.
    pub(super) pending: Vec<DeferredLearn>,
}

/// Applies the response to the table of every learn entry.
pub(super) fn learn(ties: &Ties<'_>, writing: &Writing<'_>) -> Learning {
    let Writing { decision, order, response, now } = *writing;
    let mut learning = Learning::default();
    for (nth, names) in ties.names {
        let entry = &ties.upstream.chain().entries()[*nth];
        let Some(method) = entry.learns() else { continue };
        let signals = method.read_response(response.headers, now);
        if order == Some(&AffinityOrder::Release) || (signals.ended && signals.created.is_empty()) {
            learning.record(method.forget(&names.lookup, now), TieAction::Forgotten);
            continue;
        }
        if decision.outcome != TieOutcome::Detour {
            learning.record(method.move_to(&names.lookup, decision.at, now), TieAction::Rewritten);
        }
        if ties_new(entry.new_tie_on(), response.status) {
            learning.learn_names(method, names, &signals, ties, writing);
        }
    }
    learning
}

impl Learning {
    /// Ties the names that the application confirmed, and those that the request alone may create, to the server that
    /// answered.
    fn learn_names(
        &mut self,
        method: &LearnMethod,
        names: &RequestNames,
        signals: &ResponseSignals,
        ties: &Ties<'_>,
        writing: &Writing<'_>,
    ) {
        let Writing { decision, now, .. } = *writing;
        let offered = names.offered.iter().filter(|_| decision.outcome != TieOutcome::Detour);
        for &name in signals.created.iter().chain(offered) {
            match method.learn(name, decision.at, ties.info.client(), now) {
                Ok(tied) => self.action = self.action.or_else(|| TieAction::of_learned(tied)),
                Err(pending) => self.pending.push(pending),
            }
        }
    }

    /// The first action is the one that is reported.
    fn record(&mut self, moved: Moved, action: TieAction) {
        if moved == Moved::Some && self.action.is_none() {
            self.action = Some(action);
        }
    }
}

impl TieAction {
    /// The action after a session was learned at the response's end. An action at its head takes precedence.
    #[must_use]
    pub fn at_end(self, tied: Tied) -> Self {
        match self {
            Self::Kept | Self::None => Self::of_learned(tied).unwrap_or(self),
            Self::Renewed | Self::Inserted | Self::Rewritten | Self::Learned | Self::Forgotten => self,
        }
    }

    fn of_learned(tied: Tied) -> Option<Self> {
        match tied {
            Tied::Created => Some(Self::Learned),
            Tied::Moved { .. } => Some(Self::Rewritten),
            Tied::Kept => None,
        }
    }
}
