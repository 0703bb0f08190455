//! Tags of servers' desired states.

use std::fmt::Write;

use burdock::upstream::spec::ServerSpec;

/// A hash of a server's desired state (an ETag), so that operators do not undo each other's changes unseen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag(pub String);

impl Tag {
    /// The tag of a server's desired state.
    pub fn of(server: &ServerSpec) -> Self {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{server:?}");
        Self(format!("{:08x}", crc32fast::hash(text.as_bytes())))
    }
}
