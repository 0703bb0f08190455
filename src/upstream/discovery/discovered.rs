//! The last good answers, and how a new one differs.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Answer, Lookup};

/// The last good answer for each lookup. A name that was never resolved has none.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Vec<(Lookup, Answer)>", into = "Vec<(Lookup, Answer)>")]
pub struct Discovered(HashMap<Lookup, Answer>);

/// How an answer differs from the one before. If no address was added or removed, weights or priorities changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Change {
    pub added: BTreeSet<SocketAddr>,
    pub removed: BTreeSet<SocketAddr>,
}

impl Discovered {
    /// Stores an answer as the last good one. Returns how it differs from the one before, None if it does not.
    pub fn learn(&mut self, lookup: &Lookup, answer: Answer) -> Option<Change> {
        let before = self.0.get(lookup);
        if before == Some(&answer) {
            return None;
        }
        let addresses = |answer: &Answer| answer.addresses().collect::<BTreeSet<_>>();
        let (old, new) = (before.map(addresses).unwrap_or_default(), addresses(&answer));
        let change = Change { added: &new - &old, removed: &old - &new };
        self.0.insert(lookup.clone(), answer);
        Some(change)
    }

    pub fn get(&self, lookup: &Lookup) -> Option<&Answer> {
        self.0.get(lookup)
    }

    /// Drops answers that are no longer wanted.
    pub fn retain(&mut self, wanted: impl Fn(&Lookup) -> bool) {
        self.0.retain(|lookup, _| wanted(lookup));
    }
}

impl From<Vec<(Lookup, Answer)>> for Discovered {
    fn from(answers: Vec<(Lookup, Answer)>) -> Self {
        Self(answers.into_iter().collect())
    }
}

impl From<Discovered> for Vec<(Lookup, Answer)> {
    fn from(discovered: Discovered) -> Self {
        discovered.0.into_iter().collect()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.added.is_empty() && self.removed.is_empty() {
            return f.write_str("weights or priorities changed");
        }
        let signed = |sign: char| move |address: &SocketAddr| format!("{sign}{address}");
        let all: Vec<String> = self.added.iter().map(signed('+')).chain(self.removed.iter().map(signed('-'))).collect();
        f.write_str(&all.join(" "))
    }
}
