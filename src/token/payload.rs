//! What a sealed token says, and its bytes.

use super::hash::first;
use crate::session::number::SessionNumber;
use crate::session::server_tag::ServerTag;
use crate::session::stamps::Stamps;
use crate::time::UnixSeconds;

/// The length of a payload in bytes.
pub(crate) const PAYLOAD: usize = 8 + 8 + 4 + 4;

/// What a sealed token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload {
    pub server: ServerTag,
    pub session: SessionNumber,
    pub stamps: Stamps,
}

impl Payload {
    pub(crate) fn to_bytes(self) -> [u8; PAYLOAD] {
        let mut bytes = [0; PAYLOAD];
        bytes[..8].copy_from_slice(&self.server.bytes());
        bytes[8..16].copy_from_slice(&self.session.0.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.stamps.issued.0.to_be_bytes());
        bytes[20..].copy_from_slice(&self.stamps.seen.0.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; PAYLOAD]) -> Self {
        let seconds = |at: usize| UnixSeconds(u32::from_be_bytes(first(&bytes[at..])));
        Self {
            server: ServerTag::from_bytes(first(&bytes)),
            session: SessionNumber(u64::from_be_bytes(first(&bytes[8..]))),
            stamps: Stamps { issued: seconds(16), seen: seconds(20) },
        }
    }
}
