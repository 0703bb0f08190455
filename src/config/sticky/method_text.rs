//! The trait of every persistence method's grammar: it makes an entry from its text. It knows no method.

use std::fmt;

use crate::config::schema::errors::{Findings, Location};
use crate::session::scope::Scope;
use crate::sticky::entry::EntrySpec;

/// A method as written in the configuration.
pub(super) trait MethodText: fmt::Debug {
    /// Makes the entry, for tokens of this scope, and returns it with its location. Reports every problem in `findings`; None
    /// if a required part is missing or invalid.
    fn build(self: Box<Self>, scope: &Scope, at: Location, findings: &mut Findings) -> Option<(EntrySpec, Location)>;
}
