//! How a Cookie header is forwarded to the server: which cookies are removed, and which values lose a prefix.

use ::http::HeaderValue;
use memchr::memchr;

use super::{segments, unquoted};

/// How the Cookie header is forwarded to the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Forwarded {
    /// Unchanged, or there is none.
    AsIs,
    /// Nothing is left: the header is removed.
    Nothing,
    /// One line replaces all lines.
    Replaced(HeaderValue),
}

/// What happens to one cookie on its way to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieEdit {
    Keep,
    /// Removes it.
    Remove,
    /// Removes this many bytes from the beginning of its value. Quotes around the value are kept and do not count.
    StripPrefix(usize),
}

/// Appends what is kept of a line, unless only white space is left.
pub(super) fn append_kept(merged: &mut Vec<u8>, line: &[u8], edit_of: impl Fn(&[u8]) -> CookieEdit) {
    let before = merged.len();
    let (mut first, mut blank) = (true, true);
    for segment in segments(line) {
        let (head, tail) = match edit_of(segment) {
            CookieEdit::Keep => (segment, &b""[..]),
            CookieEdit::Remove => continue,
            CookieEdit::StripPrefix(prefix) => around(segment, prefix),
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

/// The pair before its value, and after the first `prefix` bytes of it.
fn around(segment: &[u8], prefix: usize) -> (&[u8], &[u8]) {
    let after_name = memchr(b'=', segment).map_or(segment.len(), |at| at + 1);
    let rest = segment[after_name..].trim_ascii_start();
    let value = rest.trim_ascii_end();
    let inside = unquoted(value);
    let opening_quote = (value.len() - inside.len()) / 2;
    let start = segment.len() - rest.len() + opening_quote;
    (&segment[..start], &segment[start + prefix.min(inside.len())..])
}
