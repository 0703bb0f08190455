//! The dates of a session. [`Lifetime`](super::lifetime::Lifetime) decides what follows from them.

use crate::time::{Skipped, UnixSeconds};

/// When a session began, and when it was last renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamps {
    pub issued: UnixSeconds,
    pub seen: UnixSeconds,
}

impl Stamps {
    /// Without what the wall clock has skipped since: see [`Skipped::shift`].
    pub(crate) fn shifted(self, skipped: Skipped) -> Self {
        Self { issued: skipped.shift(self.issued), seen: skipped.shift(self.seen) }
    }
}
