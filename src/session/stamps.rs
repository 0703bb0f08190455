//! The dates of a session. What they mean for it, its lifetime says.

use crate::time::UnixSeconds;

/// When a session began, and when it was last renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamps {
    pub issued: UnixSeconds,
    pub seen: UnixSeconds,
}
