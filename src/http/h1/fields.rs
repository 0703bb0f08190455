//! Field lines: names and values of a head or of trailers (RFC 9112 5). Folded lines, white space before the colon and control
//! characters are refused.

use super::fault::RequestFault;

/// The most field lines that a message may have, as in Pingora.
pub const MAX_FIELDS: usize = 256;

/// The number that most messages keep below: the array that they are read into is set up for each message.
const USUAL_FIELDS: usize = 32;

/// A field line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'b> {
    pub name: &'b [u8],
    /// Without white space around it.
    pub value: &'b [u8],
}

impl Field<'_> {
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Reads field lines up to and including the empty line, and calls `each` for every one.
///
/// # Errors
/// A line that is none, or too many of them; the error of `each`.
pub fn read<'b>(bytes: &'b [u8], mut each: impl FnMut(Field<'b>) -> Result<(), RequestFault>) -> Result<(), RequestFault> {
    match read_at_most::<USUAL_FIELDS>(bytes, &mut each) {
        Err(RequestFault::FieldCount) => read_at_most::<MAX_FIELDS>(bytes, &mut each),
        done => done,
    }
}

/// Calls `each` only once all lines are read.
fn read_at_most<'b, const N: usize>(
    bytes: &'b [u8],
    each: &mut impl FnMut(Field<'b>) -> Result<(), RequestFault>,
) -> Result<(), RequestFault> {
    let mut lines = [httparse::EMPTY_HEADER; N];
    match httparse::parse_headers(bytes, &mut lines) {
        Ok(httparse::Status::Complete((_, read))) => {
            read.iter().try_for_each(|line| each(Field { name: line.name.as_bytes(), value: trimmed(line.value) }))
        }
        Err(httparse::Error::TooManyHeaders) => Err(RequestFault::FieldCount),
        Ok(httparse::Status::Partial) | Err(_) => Err(RequestFault::Field),
    }
}

/// The bytes without spaces and tabs around them.
pub fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated value, without white space around them; empty ones are left out.
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trimmed).filter(|element| !element.is_empty())
}
