//! What of a Cookie header goes on to the server: which cookies are hidden, what is cut from a value.

use ::http::HeaderValue;
use memchr::memchr;

use super::{segments, unquoted};

/// What becomes of the Cookie header on its way to the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Forwarded {
    /// It is fine as it stands, or there is none.
    AsIs,
    /// All of it was hidden: the header goes.
    Nothing,
    /// One line in place of all that are there.
    Replaced(HeaderValue),
}

/// What becomes of one cookie on its way to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passage {
    AsIs,
    /// The server does not see it.
    Hidden,
    /// Without so many octets at the beginning of its value. Quotes around the value stay, and do not count.
    Without(usize),
}

/// Adds what is kept of a line, unless that is only blanks.
pub(super) fn append_kept(merged: &mut Vec<u8>, line: &[u8], passage: impl Fn(&[u8]) -> Passage) {
    let before = merged.len();
    let (mut first, mut blank) = (true, true);
    for segment in segments(line) {
        let (head, tail) = match passage(segment) {
            Passage::AsIs => (segment, &b""[..]),
            Passage::Hidden => continue,
            Passage::Without(octets) => around(segment, octets),
        };
        merged.extend_from_slice(match (first, before) {
            (true, 0) => b"",
            (true, _) => b"; ",
            (false, _) => b";",
        });
        merged.extend_from_slice(if first { head.trim_ascii_start() } else { head });
        merged.extend_from_slice(tail);
        blank &= segment.trim_ascii().is_empty();
        first = false;
    }
    if blank {
        merged.truncate(before);
    }
}

/// What stands before and what behind the first `octets` of a pair's value.
fn around(segment: &[u8], octets: usize) -> (&[u8], &[u8]) {
    let behind_name = memchr(b'=', segment).map_or(segment.len(), |at| at + 1);
    let rest = segment[behind_name..].trim_ascii_start();
    let value = rest.trim_ascii_end();
    let inside = unquoted(value);
    let opening_quote = (value.len() - inside.len()) / 2;
    let start = segment.len() - rest.len() + opening_quote;
    (&segment[..start], &segment[start + octets.min(inside.len())..])
}
