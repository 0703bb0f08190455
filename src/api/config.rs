//! The current configuration and its runtime overrides.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The current configuration: the file as last read, and the runtime overrides.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ConfigInfo {
    pub file: String,
    /// The file's text. It never holds keys or tokens: those are in separate files.
    pub text: String,
    /// Operators' runtime overrides, by upstream and server.
    pub changes: serde_json::Value,
}

/// How to reload the configuration file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Only report what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// If a section needs a new process, apply the rest.
    #[serde(default)]
    pub partial: bool,
}

/// What a reload changed, or would change.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Reloaded {
    /// Whether the file was applied.
    pub applied: bool,
    pub differences: Vec<DifferenceInfo>,
    /// Live sessions that move at once because of the change.
    pub moves: Moves,
    /// Changed sections that need a new process.
    pub needs_upgrade: Vec<String>,
    /// Notes about keys.
    pub notes: Vec<String>,
    /// Likely mistakes in the file.
    pub warnings: Vec<String>,
}

/// The differences that runtime overrides make to the file.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Diff {
    pub differences: Vec<DifferenceInfo>,
}

/// One difference.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DifferenceInfo {
    /// The object that differs: `upstream U`, `server U/S`, `route R` or `table T`.
    pub about: String,
    pub change: ChangeKind,
    /// The fields that differ.
    pub fields: Vec<FieldChange>,
    pub moves: Moves,
    /// The difference in one sentence.
    pub text: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    /// Removed at once.
    Removed,
    /// Removed when its sessions have ended.
    Leaving,
    Changed,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct FieldChange {
    pub name: String,
    /// Null if the value is long.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Live sessions that move to another server at once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Moves {
    /// Sessions in tables: exact.
    pub learned: u64,
    /// Sessions in clients' tokens: an estimate.
    pub by_token: u64,
    /// Names placed by a `hash` entry, per thousand.
    pub hashed_permille: u16,
}

/// Whose overrides to drop: those of one server, or all.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ServerName>,
}

/// The names of a server.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerName {
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    pub upstream: String,
    #[schema(pattern = r"^[!#-+\--:<-\[\]-~]{1,128}$")]
    pub server: String,
}

/// How many servers were reset to the file's values.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ResetDone {
    pub dropped: usize,
    /// Why the reset will not survive a restart, if it will not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}
