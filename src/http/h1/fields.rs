//! Field lines: names and values of a head or of trailers (RFC 9112 5). Folded lines, white space before the colon and control
//! characters are refused.

use super::fault::RequestFault;

/// The most field lines that a message may have, as in Pingora.
pub const MAX_FIELDS: usize = 256;

/// The number that most messages keep below: the array that they are read into is set up for each message.
const USUAL_FIELDS: usize = 48;

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
pub fn read<'b>(bytes: &'b [u8], each: impl FnMut(Field<'b>) -> Result<(), RequestFault>) -> Result<(), RequestFault> {
    match parse::<USUAL_FIELDS>(bytes) {
        Ok(lines) => give(lines.as_slice(), each),
        Err(RequestFault::FieldCount) => give(parse::<MAX_FIELDS>(bytes)?.as_slice(), each),
        Err(fault) => Err(fault),
    }
}

/// The lines of a message, on the stack.
struct Lines<'b, const N: usize> {
    lines: [httparse::Header<'b>; N],
    count: usize,
}

impl<'b, const N: usize> Lines<'b, N> {
    fn as_slice(&self) -> &[httparse::Header<'b>] {
        &self.lines[..self.count]
    }
}

fn parse<const N: usize>(bytes: &[u8]) -> Result<Lines<'_, N>, RequestFault> {
    let mut lines = [httparse::EMPTY_HEADER; N];
    match httparse::parse_headers(bytes, &mut lines) {
        Ok(httparse::Status::Complete((_, read))) => {
            let count = read.len();
            Ok(Lines { lines, count })
        }
        Err(httparse::Error::TooManyHeaders) => Err(RequestFault::FieldCount),
        Ok(httparse::Status::Partial) | Err(_) => Err(RequestFault::Field),
    }
}

fn give<'b>(
    lines: &[httparse::Header<'b>],
    mut each: impl FnMut(Field<'b>) -> Result<(), RequestFault>,
) -> Result<(), RequestFault> {
    lines.iter().try_for_each(|line| each(Field { name: line.name.as_bytes(), value: trimmed(line.value) }))
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
