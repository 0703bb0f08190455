//! The configuration in force, and what operators have changed of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The configuration in force: the file as it was read last, and what operators have changed since.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ConfigInfo {
    pub file: String,
    /// The file's text. It never holds keys or tokens: those are in files of their own.
    pub text: String,
    /// What operators have changed, by upstream and server.
    pub changes: serde_json::Value,
}

/// How a configuration file is taken up.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Only says what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Takes up the rest where something needs another process.
    #[serde(default)]
    pub partial: bool,
}

/// What a reload did, or would do.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Reloaded {
    /// Whether the file is now in force.
    pub applied: bool,
    pub differences: Vec<DifferenceInfo>,
    /// All live sessions that move at once because of it.
    pub moves: Moves,
    /// Sections that are otherwise and that only another process can take up.
    pub needs_upgrade: Vec<String>,
    /// What there is to say of keys.
    pub notes: Vec<String>,
    /// What is allowed in the file and probably not meant.
    pub warnings: Vec<String>,
}

/// What operators' changes make otherwise than the file has it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Diff {
    pub differences: Vec<DifferenceInfo>,
}

/// One thing that is otherwise.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DifferenceInfo {
    /// What it is about: `upstream U`, `server U/S`, `route R` or `table T`.
    pub about: String,
    pub change: ChangeKind,
    /// The fields whose values are others.
    pub fields: Vec<FieldChange>,
    pub moves: Moves,
    /// All of it in one sentence.
    pub text: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    /// It is gone at once.
    Removed,
    /// It goes when its sessions are gone.
    Leaving,
    Changed,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct FieldChange {
    pub name: String,
    /// Null where the value is long.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Live sessions that go to another server at once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Moves {
    /// Those in tables, exactly.
    pub learned: u64,
    /// Those that clients carry in tokens: an estimate.
    pub by_token: u64,
    /// Of the names that a `hash` entry ties, so many in a thousand.
    pub hashed_permille: u16,
}

/// Whose changes are dropped: those of one server, or all.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ServerName>,
}

/// A server, by its names.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerName {
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    pub upstream: String,
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub server: String,
}

/// How many servers are as the file has them again.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ResetDone {
    pub dropped: usize,
    /// Why that will not outlive the process, where it will not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}
