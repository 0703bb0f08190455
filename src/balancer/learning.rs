//! What the final response does to the session table.

use crate::http::request::Response;
use crate::sticky::affinity::Wish;
use crate::sticky::entry::EntryKind;
use crate::sticky::learn::{Carrying, Heard, LearnEntry, Moved, Pending};
use crate::table::Tied;
use crate::time::Now;

use super::exchange::{Decision, Exchange};
use super::settle::ties_new;
use crate::balancer::reason::{Fate, Settled};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// None where nothing changed.
    pub(super) word: Option<Settled>,
    /// What is to be learned when the response is complete.
    pub(super) pending: Vec<Pending>,
}

impl Exchange {
    /// Learns what the response says, for every entry that does.
    pub(super) fn learn(&self, decision: &Decision, wish: Option<&Wish>, response: &Response<'_>, now: Now) -> Learning {
        let mut learning = Learning::default();
        for (nth, carrying) in &self.carrying {
            let EntryKind::Learn(entry) = &self.pool.chain.entries()[*nth].kind else { continue };
            let heard = entry.hear(response.headers, now);
            if wish == Some(&Wish::Release) || (heard.ended && heard.created.is_empty()) {
                learning.note(entry.forget(&carrying.names, now), Settled::Forgotten);
                continue;
            }
            if decision.fate != Fate::Detour {
                learning.note(entry.move_to(&carrying.names, decision.at, now), Settled::Rewritten);
            }
            if ties_new(entry.new_tie_on(), response.status) {
                self.learn_names(entry, carrying, &heard, decision, now, &mut learning);
            }
        }
        learning
    }

    /// Ties what the application has named, and what the request may name alone, to the server that answered.
    fn learn_names(
        &self,
        entry: &LearnEntry,
        carrying: &Carrying,
        heard: &Heard,
        decision: &Decision,
        now: Now,
        learning: &mut Learning,
    ) {
        let offered = carrying.offered.iter().filter(|_| decision.fate != Fate::Detour);
        for &name in heard.created.iter().chain(offered) {
            match entry.learn(name, decision.at, self.facts.client, now) {
                Ok(tied) => learning.word = learning.word.or_else(|| word(tied)),
                Err(pending) => learning.pending.push(pending),
            }
        }
    }
}

impl Settled {
    /// The word once a session has been learned at the response's end: what was done at its head comes first.
    #[must_use]
    pub fn at_end(self, tied: Tied) -> Self {
        match self {
            Self::Kept | Self::None => word(tied).unwrap_or(self),
            Self::Renewed | Self::Inserted | Self::Rewritten | Self::Learned | Self::Forgotten => self,
        }
    }
}

fn word(tied: Tied) -> Option<Settled> {
    match tied {
        Tied::Created => Some(Settled::Learned),
        Tied::Moved { .. } => Some(Settled::Rewritten),
        Tied::Kept => None,
    }
}

impl Learning {
    /// The first thing that happened gives the word.
    fn note(&mut self, moved: Moved, word: Settled) {
        if moved == Moved::Some && self.word.is_none() {
            self.word = Some(word);
        }
    }
}
