//! The author of a change, and the audit log.

/// The author of a change, as the audit log names them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor(pub String);

impl Actor {
    /// Logs one change and its author.
    pub fn audit(&self, what: impl std::fmt::Display) {
        log::info!(target: "audit", "audit: {}: {what}", self.0);
    }
}
