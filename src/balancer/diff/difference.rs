//! A difference between two plans, as a value.

use std::sync::Arc;

use serde::Serialize;

use crate::ids::{ServerId, UpstreamName};

/// One thing that is otherwise.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Difference {
    pub place: Subject,
    pub what: DifferenceKind,
    /// Sessions that live now and will go to another server because of it, at once.
    pub moves: Moves,
}

/// What it is about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Upstream(UpstreamName),
    Server(UpstreamName, ServerId),
    Route(Arc<str>),
    Table(String),
    /// How names are looked up.
    Dns,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    Added,
    Removed(RemovalKind),
    Changed(Vec<Field>),
}

/// How a thing goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalKind {
    AtOnce,
    /// When its sessions are gone.
    Leaving,
}

/// A field whose value is another. Values that are long are not told.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Field {
    pub name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How many sessions move: learned ones exactly (to a tenth of the idle time), those by token about.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Moves {
    pub learned: u64,
    pub by_token: u64,
    /// Of the names that a `hash` entry ties, so many in a thousand.
    pub hashed_permille: u16,
}

impl Moves {
    pub fn plus(self, other: Self) -> Self {
        Self {
            learned: self.learned + other.learned,
            by_token: self.by_token + other.by_token,
            hashed_permille: self.hashed_permille.max(other.hashed_permille),
        }
    }
}
