//! How busy a server is for its weight, so that servers can be compared.

use std::cmp::Ordering;

/// Requests in flight for a server's weight, compared without division.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) weight: u64,
}

impl Ord for Load {
    fn cmp(&self, other: &Self) -> Ordering {
        // One more than is there now, so that of two idle servers the heavier one is the less loaded.
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
