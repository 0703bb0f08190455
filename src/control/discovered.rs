//! What was found by names comes into force like any other change.

use burdock::upstream::discovery::{Answer, Change, Lookup};

use crate::control::change::{ChangeError, Control};

impl Control {
    /// Takes an answer to a name that the configuration has. Where it is another one than before, servers come, and those that
    /// it has no more leave as servers do that are taken out of the configuration. Tells what has changed.
    ///
    /// # Errors
    /// [`ChangeError`]; then what was found before stays.
    pub fn found(&self, lookup: &Lookup, answer: Answer) -> Result<Option<Change>, ChangeError> {
        let turn = self.turn()?;
        let desired = &turn.desired;
        if desired.discovered.get(lookup) == Some(&answer) || !desired.config.plan.lookups().contains(lookup) {
            return Ok(None);
        }
        let mut next = turn.next();
        let Some(change) = next.discovered.learn(lookup, answer) else { return Ok(None) };
        self.publish(&turn, next, &[])?.leave();
        Ok(Some(change))
    }
}
