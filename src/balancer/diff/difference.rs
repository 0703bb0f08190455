//! A difference between two plans, as a value.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use crate::ids::{ServerId, UpstreamName};

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Difference {
    pub place: Subject,
    pub what: DifferenceKind,
    /// The live sessions that go to another server at once because of it.
    pub moves: Moves,
}

/// The object that differs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Upstream(UpstreamName),
    Server(UpstreamName, ServerId),
    Route(Arc<str>),
    Table(String),
    /// DNS lookups.
    Dns,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    Added,
    Removed(RemovalKind),
    Changed(Vec<Field>),
}

/// When a removed object goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalKind {
    AtOnce,
    /// When its sessions have ended.
    Leaving,
}

/// A field that differs. Long values are omitted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Field {
    pub name: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How many sessions move. Learned ones are exact to a tenth of the idle time, those by token are estimated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Moves {
    pub learned: u64,
    pub by_token: u64,
    /// Of a thousand names that a `hash` entry ties.
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
