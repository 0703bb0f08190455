//! What the grammar of every persistence method is: it makes an entry of what was written. It knows none of them.

use std::fmt;

use crate::config::schema::errors::{Findings, Location};
use crate::session::scope::Scope;
use crate::sticky::entry::EntrySpec;

/// A method as written.
pub(super) trait MethodText: fmt::Debug {
    /// An entry whose parts fit each other, and where it was written, for tokens of this scope. None, and findings, where that
    /// is not to be made.
    fn build(self: Box<Self>, scope: &Scope, at: Location, findings: &mut Findings) -> Option<(EntrySpec, Location)>;
}
