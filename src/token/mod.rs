//! The value that names a server: what a client carries so that its next request finds the same one.
//!
//! [`sealed`] is the default: 76 characters that nobody without the key can make, change or read. [`plain`] is the server's
//! id as it is, for debugging and for applications that want to read it. [`keys`] holds what the first kind is sealed with.
//! [`foreign`] reads the tokens of other proxies, some of which need [`secrets`].
//!
//! A token says which server, which session, and when; whether that server is up, and whether the session has idled too
//! long, is decided elsewhere. Nothing here asks for time or knows any server but by its [`ServerTag`].

pub mod codec;
pub mod foreign;
pub mod keys;
pub mod plain;
pub mod sealed;

use std::fmt;

use aws_lc_rs::digest;
use rand_core::CryptoRng;

use crate::time::UnixSeconds;
use crate::upstream::ServerId;

/// A server as a sealed token names it: eight bytes that are the same on every balancer and give nothing away, not even the
/// length of the id. Two servers of one scope with one tag are refused by the configuration.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ServerTag([u8; 8]);

impl ServerTag {
    /// The first 8 bytes of SHA-256(scope ‖ 0x00 ‖ server id).
    pub fn of(scope: &str, id: &ServerId) -> Self {
        let hash = sha256(&[scope.as_bytes(), &[0], id.as_str().as_bytes()]);
        Self(first(hash.as_ref()))
    }
}

/// The name of a session: random, made once, kept through renewals and moves. It places the session on the ring and must not
/// be logged, so it does not show itself.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SessionNumber(pub u64);

impl SessionNumber {
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(rng.next_u64())
    }
}

impl fmt::Debug for SessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionNumber(hidden)")
    }
}

/// When a session began, and when it was last renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamps {
    pub issued: UnixSeconds,
    pub seen: UnixSeconds,
}

/// Where a token travels. One made for a cookie does not open as a header.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    Cookie,
    Header,
    /// Around an application's own session id.
    Envelope,
}

/// What a sealed token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload {
    pub server: ServerTag,
    pub session: SessionNumber,
    pub stamps: Stamps,
}

/// Why a value names no server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Unopened {
    #[error("it is no token of this entry, or was changed on its way")]
    BadToken,
    #[error("it is sealed with a key that this balancer does not have")]
    UnknownKey,
}

/// SHA-256 over the parts, one after the other.
fn sha256(parts: &[&[u8]]) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// The first bytes of something longer; zeros where it is not.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(scope: &str, id: &str) -> ServerTag {
        ServerTag::of(scope, &ServerId::parse(id).unwrap())
    }

    #[test]
    fn a_servers_tag_is_the_same_everywhere() {
        // printf 'shop\0web-1' | sha256sum
        assert_eq!(tag("shop", "web-1").0, [0x17, 0x58, 0x68, 0xe1, 0x40, 0xf3, 0x53, 0x9e]);
    }

    #[test]
    fn a_tag_depends_on_scope_and_id_and_on_where_one_ends() {
        assert_ne!(tag("shop", "web-1"), tag("shop", "web-2"));
        assert_ne!(tag("shop", "web-1"), tag("blog", "web-1"));
        assert_ne!(tag("ab", "c"), tag("a", "bc"));
    }

    #[test]
    fn a_session_number_does_not_show_itself() {
        assert_eq!(format!("{:?}", SessionNumber(4711)), "SessionNumber(hidden)");
    }
}
