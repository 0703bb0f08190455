//! How sealed tokens name servers.

use aws_lc_rs::digest;

use crate::ids::ServerId;

/// A server as a sealed token names it: eight bytes that are the same on every balancer and reveal nothing, not even the
/// length of the id. The configuration rejects two servers of one scope with the same tag.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ServerTag([u8; 8]);

impl ServerTag {
    /// The first 8 bytes of SHA-256(scope ‖ 0x00 ‖ server id).
    pub fn of(scope: &str, id: &ServerId) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [scope.as_bytes(), &[0], id.as_str().as_bytes()] {
            hash.update(part);
        }
        Self(hash.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// Reads a tag from a token.
    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(self) -> [u8; 8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(scope: &str, id: &str) -> ServerTag {
        ServerTag::of(scope, &ServerId::parse(id).unwrap())
    }

    #[test]
    fn a_server_tag_is_the_same_on_every_balancer() {
        // printf 'shop\0web-1' | sha256sum
        assert_eq!(tag("shop", "web-1").0, [0x17, 0x58, 0x68, 0xe1, 0x40, 0xf3, 0x53, 0x9e]);
    }

    #[test]
    fn a_tag_depends_on_scope_id_and_their_boundary() {
        assert_ne!(tag("shop", "web-1"), tag("shop", "web-2"));
        assert_ne!(tag("shop", "web-1"), tag("blog", "web-1"));
        assert_ne!(tag("ab", "c"), tag("a", "bc"));
    }
}
