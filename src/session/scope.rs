//! Where tokens are good.

use std::sync::Arc;

/// Where tokens are good: the upstream's name, or a name of its own that outlives a renaming and that several may share.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Scope(pub Arc<str>);
