//! Where tokens are valid.

use std::sync::Arc;

/// Where tokens are valid: the upstream's name, or a `sticky_scope`, which survives a rename and which several upstreams may
/// share.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Scope(pub Arc<str>);
