//! What the final response does to the session table.

use super::ties::Ties;
use super::writes::{Writing, ties_new};
use crate::balancer::reason::{TieAction, TieOutcome};
use crate::sticky::affinity::Wish;
use crate::sticky::arriving::RequestNames;
use crate::sticky::learn::{Heard, LearnMethod, Moved};
use crate::sticky::learn_table::DeferredLearn;
use crate::table::Tied;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// None where nothing changed.
    pub(super) action: Option<TieAction>,
    /// What is to be learned when the response is complete.
    pub(super) pending: Vec<DeferredLearn>,
}

/// Learns what the response says, for every entry that does.
pub(super) fn learn(ties: &Ties<'_>, writing: &Writing<'_>) -> Learning {
    let Writing { decision, wish, response, now } = *writing;
    let mut learning = Learning::default();
    for (nth, names) in ties.names {
        let entry = &ties.upstream.chain().entries()[*nth];
        let Some(method) = entry.learns() else { continue };
        let heard = method.hear(response.headers, now);
        if wish == Some(&Wish::Release) || (heard.ended && heard.created.is_empty()) {
            learning.note(method.forget(&names.lookup, now), TieAction::Forgotten);
            continue;
        }
        if decision.outcome != TieOutcome::Detour {
            learning.note(method.move_to(&names.lookup, decision.at, now), TieAction::Rewritten);
        }
        if ties_new(entry.new_tie_on(), response.status) {
            learning.learn_names(method, names, &heard, ties, writing);
        }
    }
    learning
}

impl Learning {
    /// Ties what the application has named, and what the request may name alone, to the server that answered.
    fn learn_names(
        &mut self,
        method: &LearnMethod,
        names: &RequestNames,
        heard: &Heard,
        ties: &Ties<'_>,
        writing: &Writing<'_>,
    ) {
        let Writing { decision, now, .. } = *writing;
        let offered = names.offered.iter().filter(|_| decision.outcome != TieOutcome::Detour);
        for &name in heard.created.iter().chain(offered) {
            match method.learn(name, decision.at, ties.info.client(), now) {
                Ok(tied) => self.action = self.action.or_else(|| TieAction::of_learned(tied)),
                Err(pending) => self.pending.push(pending),
            }
        }
    }

    /// The first thing that happened gives the word.
    fn note(&mut self, moved: Moved, action: TieAction) {
        if moved == Moved::Some && self.action.is_none() {
            self.action = Some(action);
        }
    }
}

impl TieAction {
    /// The action once a session has been learned at the response's end: what was done at its head comes first.
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
