//! A server's load relative to its weight, so that servers can be compared.

use std::cmp::Ordering;

/// Requests in flight relative to a server's weight, compared without division.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) weight: u64,
}

impl Ord for Load {
    fn cmp(&self, other: &Self) -> Ordering {
        // Counts one more request, so that of two idle servers the one with the larger weight is less loaded.
        ((self.requests + 1) * other.weight).cmp(&((other.requests + 1) * self.weight))
    }
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Load {}
