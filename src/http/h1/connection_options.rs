//! What the Connection lines of a message say together (RFC 9110 7.6.1).

use super::fields::elements;

/// The options of all Connection lines.
#[derive(Clone, Debug, Default)]
pub struct ConnectionOptions<'b> {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    /// The values of more than one line, or of a line with several options.
    lines: Vec<&'b [u8]>,
    seen: bool,
}

impl<'b> ConnectionOptions<'b> {
    /// Adds a Connection line.
    pub fn add(&mut self, value: &'b [u8]) {
        for option in elements(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
        let plain = [&b"close"[..], b"keep-alive", b"upgrade"].iter().any(|plain| value.eq_ignore_ascii_case(plain));
        if self.seen || !plain {
            self.lines.push(value);
        }
        self.seen = true;
    }

    /// Whether there is at most one line, with one usual option.
    pub fn is_plain(&self) -> bool {
        self.lines.is_empty()
    }

    /// The names of the headers that belong to this connection, in lower case and sorted.
    pub fn nominated(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<_> = self.lines.iter().flat_map(|line| elements(line)).map(<[u8]>::to_ascii_lowercase).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
