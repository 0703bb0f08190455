//! Applies the servers that DNS lookups discover, like any other change.

use burdock::upstream::discovery::{Answer, Change, Lookup};

use crate::control::change::{ChangeError, Control};

impl Control {
    /// Applies an answer for a name of the configuration. If it differs from the previous one, new servers are added, and missing
    /// servers leave as servers do that are removed from the configuration. Returns what changed.
    ///
    /// # Errors
    /// [`ChangeError`]; the previous answer stays.
    pub fn apply_answer(&self, lookup: &Lookup, answer: Answer) -> Result<Option<Change>, ChangeError> {
        let guard = self.lock_changes()?;
        let desired = &guard.desired;
        if desired.discovered.get(lookup) == Some(&answer) || !desired.config.plan.lookups().contains(lookup) {
            return Ok(None);
        }
        let mut next = guard.next();
        let Some(change) = next.discovered.learn(lookup, answer) else { return Ok(None) };
        self.publish(&guard, next, &[])?.detach();
        Ok(Some(change))
    }
}
