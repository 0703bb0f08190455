//! How a file begins: whose it is.

use crate::session::fingerprint_key::FingerprintKeyId;
use crate::table::TableName;

const MAGIC: [u8; 8] = *b"burdock\x1a";
const VERSION: u16 = 1;
/// What stands before the body.
const FIXED: usize = 12;
const SUM: usize = 4;

/// What a file says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    pub table: TableName,
    /// Under which key the fingerprints were made: under another they mean nothing.
    pub key: FingerprintKeyId,
}

/// Why a file does not begin with a header that can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoHeader {
    #[error("it is no file of a session table")]
    Foreign,
    #[error("it is of another version of Burdock (format {0}, this one reads {VERSION})")]
    Version(u16),
    #[error("its beginning is torn or corrupt")]
    Damaged,
}

impl Header {
    /// No header is longer.
    pub const MOST: usize = FIXED + u16::MAX as usize + SUM;

    pub fn encode(&self) -> Vec<u8> {
        let name = self.table.as_str().as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let mut octets = Vec::with_capacity(128);
        octets.extend(MAGIC);
        octets.extend(VERSION.to_be_bytes());
        octets.extend((9 + u16::from(length)).to_be_bytes());
        octets.extend(self.key.0);
        octets.push(length);
        octets.extend(&name[..usize::from(length)]);
        let sum = crc32fast::hash(&octets);
        octets.extend(sum.to_be_bytes());
        octets
    }

    /// Reads the header at the beginning of `octets`, and tells where the blocks begin.
    ///
    /// # Errors
    /// There is none, or none of this version.
    pub fn decode(octets: &[u8]) -> Result<(Self, usize), NoHeader> {
        let (magic, rest) = octets.split_first_chunk().ok_or(NoHeader::Damaged)?;
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
        if crc32fast::hash(&octets[..FIXED + length]) != u32::from_be_bytes(*sum) {
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
    fn the_format_does_not_drift() {
        let octets = header().encode();
        assert_eq!(octets[..octets.len() - 4], *b"burdock\x1a\0\x01\0\x0d01234567\x04shop");
        assert_eq!(octets[octets.len() - 4..], 0xeca8_3e8f_u32.to_be_bytes());
    }

    #[test]
    fn a_header_is_read_as_written_and_tells_its_end() {
        let mut octets = header().encode();
        let end = octets.len();
        octets.extend(b"blocks");
        assert_eq!(Header::decode(&octets), Ok((header(), end)));
    }

    #[test]
    fn no_part_of_a_header_is_one_and_a_flipped_bit_spoils_it() {
        let octets = header().encode();
        for length in 0..octets.len() {
            assert_eq!(Header::decode(&octets[..length]), Err(NoHeader::Damaged), "{length}");
        }
        for bit in 0..octets.len() * 8 {
            let mut octets = octets.clone();
            octets[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&octets).is_err(), "{bit}");
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut octets = header().encode();
        octets[9] = 2;
        assert_eq!(Header::decode(&octets), Err(NoHeader::Version(2)));
        assert_eq!(Header::decode(b"something else"), Err(NoHeader::Foreign));
    }

    #[test]
    fn a_header_may_grow() {
        let mut octets = header().encode();
        octets.truncate(octets.len() - SUM);
        octets.extend(b"more");
        octets[11] += 4;
        octets.extend(crc32fast::hash(&octets).to_be_bytes());
        assert_eq!(Header::decode(&octets), Ok((header(), octets.len())));
    }

    proptest! {
        #[test]
        fn decoding_is_total_on_any_octets(octets: Vec<u8>) {
            prop_assert!(Header::decode(&octets).is_err());
        }
    }
}
