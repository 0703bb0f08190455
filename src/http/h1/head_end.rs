//! Where a head ends, in bytes that come in pieces. Each byte is looked at once, however small the pieces are.

use super::fault::RequestFault;

/// How far a head has been searched.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadEnd {
    scanned: usize,
    line_start: usize,
}

impl HeadEnd {
    /// The length of the head that `bytes` begin with, including its empty line; none if it has not ended yet. Call it again with
    /// the same bytes and those that came after them.
    ///
    /// # Errors
    /// A line that ends in LF without CR: readers differ in whether it ends there (RFC 9112 2.2).
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, RequestFault> {
        while let Some(offset) = memchr::memchr(b'\n', bytes.get(self.scanned..).unwrap_or_default()) {
            let at = self.scanned + offset;
            let Some(line) = bytes[self.line_start..at].strip_suffix(b"\r") else { return Err(RequestFault::LineEnd) };
            self.scanned = at + 1;
            self.line_start = at + 1;
            if line.is_empty() {
                return Ok(Some(at + 1));
            }
        }
        self.scanned = bytes.len();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        assert_eq!(HeadEnd::default().find(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest\r\n\r\n"), Ok(Some(27)));
        assert_eq!(HeadEnd::default().find(b"\r\nGET /"), Ok(Some(2)), "an empty line before the request");
        assert_eq!(HeadEnd::default().find(b"GET / HTTP/1.1\r\nHost: a\r\n\r"), Ok(None));
    }

    #[test]
    fn a_line_feed_alone_is_a_fault() {
        for head in ["GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n"]
        {
            assert_eq!(HeadEnd::default().find(head.as_bytes()), Err(RequestFault::LineEnd), "{head:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_find_the_same_end_and_look_at_each_byte_once(head in "[a\r\n]{0,40}", cuts in prop::collection::vec(0..40usize, 0..6)) {
            let bytes = head.as_bytes();
            let whole = HeadEnd::default().find(bytes);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([bytes.len()]).collect();
            cuts.sort_unstable();
            let (mut scan, mut looked_at, mut found) = (HeadEnd::default(), 0, Ok(None));
            for cut in cuts {
                let before = scan.scanned;
                found = scan.find(&bytes[..cut]);
                looked_at += scan.scanned - before;
                if found != Ok(None) {
                    break;
                }
            }
            prop_assert_eq!(found, whole);
            prop_assert!(looked_at <= bytes.len());
        }
    }
}
