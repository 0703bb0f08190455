//! Records: the content of a block's payload.

use crate::session::fingerprint::Fingerprint;
use crate::session::stamps::Stamps;
use crate::table::{ChangeKind, EvictionClass};
use crate::time::{UnixMillis, UnixSeconds};

pub(crate) const SERVER: u8 = 1;
pub(crate) const TIED: u8 = 2;
pub(crate) const FORGOTTEN: u8 = 3;

/// The body lengths of a tied and of a forgotten session.
pub(crate) const TIED_BODY: usize = 27;
pub(crate) const FORGOTTEN_BODY: usize = 20;

/// What peers append to the bodies: the kind of change and when it was decided, and only the latter.
pub(crate) const TIED_CHANGE: usize = 9;
pub(crate) const FORGOTTEN_CHANGE: usize = 8;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Record<'p> {
    /// The next server of this block. The id is not validated here.
    Server(&'p [u8]),
    Tied {
        fingerprint: Fingerprint,
        /// The server's index in the block, from 0.
        server: u16,
        stamps: Stamps,
        class: EvictionClass,
        /// From a peer.
        change: Option<(ChangeKind, UnixMillis)>,
    },
    Forgotten {
        fingerprint: Fingerprint,
        /// When the record was written, at most seconds after the change.
        at: UnixSeconds,
        /// From a peer: when it was decided.
        decided: Option<UnixMillis>,
    },
}

/// The known records of a payload. It ends at a record that is longer than the remaining bytes.
pub fn records(payload: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = payload;
    let bodies = std::iter::from_fn(move || {
        let (&[kind, length], behind) = rest.split_first_chunk()?;
        let (body, behind) = behind.split_at_checked(length.into())?;
        rest = behind;
        Some((kind, body))
    });
    bodies.filter_map(|(kind, body)| Record::read(kind, body))
}

impl<'p> Record<'p> {
    #[inline]
    fn read(kind: u8, body: &'p [u8]) -> Option<Self> {
        match kind {
            SERVER => Some(Self::Server(body)),
            TIED => tied(body.first_chunk()?, &body[TIED_BODY..]),
            FORGOTTEN => forgotten(body.first_chunk()?, &body[FORGOTTEN_BODY..]),
            _ => None,
        }
    }
}

fn tied(body: &[u8; TIED_BODY], more: &[u8]) -> Option<Record<'static>> {
    let (fingerprint, rest) = body.split_first_chunk()?;
    let (server, rest) = rest.split_first_chunk()?;
    let (issued, rest) = rest.split_first_chunk()?;
    let (seen, rest) = rest.split_first_chunk()?;
    Some(Record::Tied {
        fingerprint: Fingerprint::from_bytes(*fingerprint),
        server: u16::from_be_bytes(*server),
        stamps: Stamps { issued: date(*issued), seen: date(*seen) },
        class: class(*rest.first()?),
        change: more.split_first().and_then(|(kind, at)| Some((change_kind(*kind)?, millis(at)?))),
    })
}

fn forgotten(body: &[u8; FORGOTTEN_BODY], more: &[u8]) -> Option<Record<'static>> {
    let (fingerprint, at) = body.split_first_chunk()?;
    let fingerprint = Fingerprint::from_bytes(*fingerprint);
    Some(Record::Forgotten { fingerprint, at: date(*at.first_chunk()?), decided: millis(more) })
}

fn millis(bytes: &[u8]) -> Option<UnixMillis> {
    bytes.first_chunk().map(|bytes| UnixMillis(u64::from_be_bytes(*bytes)))
}

fn date(bytes: [u8; 4]) -> UnixSeconds {
    UnixSeconds(u32::from_be_bytes(bytes))
}

pub(crate) fn class_byte(class: EvictionClass) -> u8 {
    match class {
        EvictionClass::OverBudget => 0,
        EvictionClass::New => 1,
        EvictionClass::Established => 2,
    }
}

/// An unknown class does not lose the session.
fn class(byte: u8) -> EvictionClass {
    match byte {
        0 => EvictionClass::OverBudget,
        2 => EvictionClass::Established,
        _ => EvictionClass::New,
    }
}

pub(crate) fn change_byte(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::Created => 1,
        ChangeKind::Moved => 2,
        ChangeKind::Refreshed => 3,
        ChangeKind::Offered => 4,
        ChangeKind::Forgotten => 5,
    }
}

/// The kinds of change that a tied session can have.
fn change_kind(byte: u8) -> Option<ChangeKind> {
    match byte {
        1 => Some(ChangeKind::Created),
        2 => Some(ChangeKind::Moved),
        3 => Some(ChangeKind::Refreshed),
        4 => Some(ChangeKind::Offered),
        _ => None,
    }
}
