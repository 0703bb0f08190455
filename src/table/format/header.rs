//! The header of a file: its table and fingerprint key.

use crate::session::fingerprint_key::FingerprintKeyId;
use crate::table::TableName;

const MAGIC: [u8; 8] = *b"burdock\x1a";
const VERSION: u16 = 1;
/// The length of the fixed part before the body.
const FIXED: usize = 12;
const SUM: usize = 4;

/// Identifies a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    pub table: TableName,
    /// The key of the fingerprints. They are meaningless under another key.
    pub key: FingerprintKeyId,
}

/// Why a file has no readable header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoHeader {
    #[error("not a session table file")]
    Foreign,
    #[error("written by another version of Burdock (format {0}; this version reads format {VERSION})")]
    Version(u16),
    #[error("its header is torn or corrupt")]
    Damaged,
}

impl Header {
    /// The longest possible header.
    pub const MAX_LENGTH: usize = FIXED + u16::MAX as usize + SUM;

    pub fn encode(&self) -> Vec<u8> {
        let name = self.table.as_str().as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend((9 + u16::from(length)).to_be_bytes());
        bytes.extend(self.key.0);
        bytes.push(length);
        bytes.extend(&name[..usize::from(length)]);
        let sum = crc32fast::hash(&bytes);
        bytes.extend(sum.to_be_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes` and returns it with the position of the first block.
    ///
    /// # Errors
    /// There is no header, or none of this version.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), NoHeader> {
        let (magic, rest) = bytes.split_first_chunk().ok_or(NoHeader::Damaged)?;
        let (version, rest) = rest.split_first_chunk().ok_or(NoHeader::Damaged)?;
        let (length, rest) = rest.split_first_chunk().ok_or(NoHeader::Damaged)?;
        if *magic != MAGIC {
            return Err(NoHeader::Foreign);
        }
        match u16::from_be_bytes(*version) {
            VERSION => {}
            other => return Err(NoHeader::Version(other)),
        }
        let length = usize::from(u16::from_be_bytes(*length));
        let (body, rest) = rest.split_at_checked(length).ok_or(NoHeader::Damaged)?;
        let sum = rest.first_chunk().ok_or(NoHeader::Damaged)?;
        if crc32fast::hash(&bytes[..FIXED + length]) != u32::from_be_bytes(*sum) {
            return Err(NoHeader::Damaged);
        }
        let header = Self::from_body(body).ok_or(NoHeader::Damaged)?;
        Ok((header, FIXED + length + SUM))
    }

    fn from_body(body: &[u8]) -> Option<Self> {
        let (key, rest) = body.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let name = rest.get(..usize::from(*length))?;
        let table = TableName::parse(str::from_utf8(name).ok()?).ok()?;
        Some(Self { table, key: FingerprintKeyId(*key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header { table: TableName::parse("shop").unwrap(), key: FingerprintKeyId(*b"01234567") }
    }

    #[test]
    fn the_header_format_is_stable() {
        let bytes = header().encode();
        assert_eq!(bytes[..bytes.len() - 4], *b"burdock\x1a\0\x01\0\x0d01234567\x04shop");
        assert_eq!(bytes[bytes.len() - 4..], 0xeca8_3e8f_u32.to_be_bytes());
    }

    #[test]
    fn a_header_is_read_as_written_with_its_length() {
        let mut bytes = header().encode();
        let end = bytes.len();
        bytes.extend(b"blocks");
        assert_eq!(Header::decode(&bytes), Ok((header(), end)));
    }

    #[test]
    fn a_partial_or_changed_header_is_rejected() {
        let bytes = header().encode();
        for length in 0..bytes.len() {
            assert_eq!(Header::decode(&bytes[..length]), Err(NoHeader::Damaged), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "{bit}");
        }
    }

    #[test]
    fn another_version_differs_from_damage() {
        let mut bytes = header().encode();
        bytes[9] = 2;
        assert_eq!(Header::decode(&bytes), Err(NoHeader::Version(2)));
        assert_eq!(Header::decode(b"something else"), Err(NoHeader::Foreign));
    }

    #[test]
    fn a_header_may_grow() {
        let mut bytes = header().encode();
        bytes.truncate(bytes.len() - SUM);
        bytes.extend(b"more");
        bytes[11] += 4;
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        assert_eq!(Header::decode(&bytes), Ok((header(), bytes.len())));
    }

    proptest! {
        #[test]
        fn decoding_accepts_any_bytes(bytes: Vec<u8>) {
            prop_assert!(Header::decode(&bytes).is_err());
        }
    }
}
