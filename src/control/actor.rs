//! Who asks for a change, and the audit lines that name them.

/// Who asks for a change, as it is written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor(pub String);

impl Actor {
    /// One line for one change: who has made it, and what it is.
    pub fn audit(&self, what: impl std::fmt::Display) {
        log::info!(target: "audit", "audit: {}: {what}", self.0);
    }
}
