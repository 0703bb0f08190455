//! Records: the content of a block's payload.

use crate::session::fingerprint::Fingerprint;
use crate::session::stamps::Stamps;
use crate::table::EvictionClass;
use crate::time::UnixSeconds;

pub(crate) const SERVER: u8 = 1;
pub(crate) const TIED: u8 = 2;
pub(crate) const FORGOTTEN: u8 = 3;

/// The body lengths of a tied and of a forgotten session.
pub(crate) const TIED_BODY: usize = 27;
pub(crate) const FORGOTTEN_BODY: usize = 20;

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
    },
    Forgotten {
        fingerprint: Fingerprint,
        /// When the record was written, at most seconds after the change.
        at: UnixSeconds,
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
            TIED => tied(body.first_chunk()?),
            FORGOTTEN => forgotten(body.first_chunk()?),
            _ => None,
        }
    }
}

fn tied(body: &[u8; TIED_BODY]) -> Option<Record<'static>> {
    let (fingerprint, rest) = body.split_first_chunk()?;
    let (server, rest) = rest.split_first_chunk()?;
    let (issued, rest) = rest.split_first_chunk()?;
    let (seen, rest) = rest.split_first_chunk()?;
    Some(Record::Tied {
        fingerprint: Fingerprint::from_bytes(*fingerprint),
        server: u16::from_be_bytes(*server),
        stamps: Stamps { issued: date(*issued), seen: date(*seen) },
        class: class(*rest.first()?),
    })
}

fn forgotten(body: &[u8; FORGOTTEN_BODY]) -> Option<Record<'static>> {
    let (fingerprint, at) = body.split_first_chunk()?;
    Some(Record::Forgotten { fingerprint: Fingerprint::from_bytes(*fingerprint), at: date(*at.first_chunk()?) })
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
