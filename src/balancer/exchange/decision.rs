//! The decision for a request: values only.

use crate::balancer::reason::{Reason, TieOutcome};
use crate::upstream::failover::Cause;

/// The server chosen for a request, and why.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    pub reason: Reason,
    /// The entry that decided, by its position in the chain.
    pub entry: Option<usize>,
    pub outcome: TieOutcome,
    /// Why the tie could not be kept.
    pub cause: Option<Cause>,
    /// The server's position in the upstream.
    pub at: usize,
}
