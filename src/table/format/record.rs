//! Records: what the payload of a block says.

use crate::session::fingerprint::Fingerprint;
use crate::session::stamps::Stamps;
use crate::table::Class;
use crate::time::UnixSeconds;

pub(crate) const SERVER: u8 = 1;
pub(crate) const TIED: u8 = 2;
pub(crate) const FORGOTTEN: u8 = 3;

/// Of the record of a session that is tied, and of one that is forgotten.
pub(crate) const TIED_BODY: usize = 27;
pub(crate) const FORGOTTEN_BODY: usize = 20;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Record<'p> {
    /// The next server of this block. Whether it is an id is not looked at.
    Server(&'p [u8]),
    Tied {
        fingerprint: Fingerprint,
        /// Which of the block's servers, from 0.
        server: u16,
        stamps: Stamps,
        class: Class,
    },
    Forgotten {
        fingerprint: Fingerprint,
        /// When this was written down: at most seconds after it happened.
        at: UnixSeconds,
    },
}

/// The records of a payload that are known. It ends where a record is longer than what is left.
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
        fingerprint: Fingerprint::from_octets(*fingerprint),
        server: u16::from_be_bytes(*server),
        stamps: Stamps { issued: date(*issued), seen: date(*seen) },
        class: class(*rest.first()?),
    })
}

fn forgotten(body: &[u8; FORGOTTEN_BODY]) -> Option<Record<'static>> {
    let (fingerprint, at) = body.split_first_chunk()?;
    Some(Record::Forgotten { fingerprint: Fingerprint::from_octets(*fingerprint), at: date(*at.first_chunk()?) })
}

fn date(octets: [u8; 4]) -> UnixSeconds {
    UnixSeconds(u32::from_be_bytes(octets))
}

pub(crate) fn class_octet(class: Class) -> u8 {
    match class {
        Class::OverBudget => 0,
        Class::New => 1,
        Class::Established => 2,
    }
}

/// A class that is not known is no reason to lose the session.
fn class(octet: u8) -> Class {
    match octet {
        0 => Class::OverBudget,
        2 => Class::Established,
        _ => Class::New,
    }
}
