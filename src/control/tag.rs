//! What a server is at a moment, in short.

use std::fmt::Write;

use burdock::upstream::spec::ServerSpec;

/// Of a server: two operators who have seen different things do not undo each other's work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag(pub String);

impl Tag {
    /// Of all that is wanted of a server.
    pub fn of(server: &ServerSpec) -> Self {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{server:?}");
        Self(format!("{:08x}", crc32fast::hash(text.as_bytes())))
    }
}
