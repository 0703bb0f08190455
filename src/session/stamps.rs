//! The dates of a session. [`Lifetime`](super::lifetime::Lifetime) decides what follows from them.

use crate::time::UnixSeconds;

/// When a session began, and when it was last renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamps {
    pub issued: UnixSeconds,
    pub seen: UnixSeconds,
}
