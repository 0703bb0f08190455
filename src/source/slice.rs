//! Which part of a text counts: after a separator, before another, and at most so long.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memmem};

/// A slice of a text. The fields apply in their order; without any the whole text counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Slice {
    /// Only the text after the first of these, as with Apache's `stickysessionsep`; nothing if there is none.
    pub after: Option<Separator>,
    /// Only the text before the first of these; all of it if there is none.
    pub before: Option<Separator>,
    /// At most this many bytes.
    pub length: Option<NonZeroUsize>,
}

/// A separator: not empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Separator(Arc<str>);

/// The separator is empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a separator must not be empty")]
pub struct EmptySeparator;

impl Separator {
    /// Parses a separator as the user wrote it.
    ///
    /// # Errors
    /// [`EmptySeparator`] if it is empty.
    pub fn parse(text: &str) -> Result<Self, EmptySeparator> {
        if text.is_empty() { Err(EmptySeparator) } else { Ok(Self(text.into())) }
    }

    /// The text before its first occurrence, and after it.
    fn split<'t>(&self, text: &'t [u8]) -> Option<(&'t [u8], &'t [u8])> {
        let at = match self.0.as_bytes() {
            [one] => memchr(*one, text),
            // Preparing a `Finder` would cost more than the search.
            several => memmem::find(text, several),
        }?;
        Some((&text[..at], &text[at + self.0.len()..]))
    }
}

impl Slice {
    /// The range of a text that the slice leaves. None if nothing is left.
    pub(crate) fn of(&self, text: &[u8]) -> Option<Range<usize>> {
        let rest = match &self.after {
            Some(separator) => separator.split(text)?.1,
            None => text,
        };
        let before = self.before.as_ref().and_then(|separator| separator.split(rest));
        let left = before.map_or(rest, |(before, _)| before).len();
        let length = self.length.map_or(left, |max| left.min(max.get()));
        let start = text.len() - rest.len();
        (length > 0).then_some(start..start + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slice(after: &str, before: &str, length: usize) -> Slice {
        let separator = |text: &str| Separator::parse(text).ok();
        Slice { after: separator(after), before: separator(before), length: NonZeroUsize::new(length) }
    }

    fn left<'t>(slice: &Slice, text: &'t str) -> Option<&'t str> {
        slice.of(text.as_bytes()).map(|left| &text[left])
    }

    #[test]
    fn after_takes_the_text_after_the_first_separator() {
        let route = slice(".", "", 0);
        assert_eq!(left(&route, "1A2B.node1"), Some("node1"));
        assert_eq!(left(&route, "1A2B.node1.x"), Some("node1.x"));
        assert_eq!(left(&route, ".node1"), Some("node1"));
        for without in ["1A2B", "1A2B.", ""] {
            assert_eq!(left(&route, without), None, "{without:?}");
        }
        assert_eq!(left(&slice("::", "", 0), "a:b::c"), Some("c"));
    }

    #[test]
    fn before_takes_the_text_before_the_first_separator_or_all() {
        let prefix = slice("", "~", 0);
        assert_eq!(left(&prefix, "s1~1A~2B"), Some("s1"));
        assert_eq!(left(&prefix, "1A2B"), Some("1A2B"));
        assert_eq!(left(&prefix, "~1A2B"), None);
    }

    #[test]
    fn a_length_counts_bytes() {
        assert_eq!(left(&slice("", "", 3), "abcdef"), Some("abc"));
        assert_eq!(left(&slice("", "", 3), "ab"), Some("ab"));
        assert_eq!(slice("", "", 1).of("ä".as_bytes()), Some(0..1));
    }

    #[test]
    fn after_applies_first_then_before_then_length() {
        assert_eq!(left(&slice(".", "~", 2), "x~y.node~z"), Some("no"));
        assert_eq!(left(&slice(".", "~", 2), "x~y.n~z"), Some("n"));
        assert_eq!(left(&slice("~", "~", 0), "a~b~c"), Some("b"));
    }

    #[test]
    fn without_a_slice_all_counts_but_an_empty_text_is_none() {
        assert_eq!(left(&Slice::default(), "a.b~c"), Some("a.b~c"));
        assert_eq!(left(&Slice::default(), ""), None);
    }

    proptest! {
        #[test]
        fn a_slice_is_part_of_the_text(text: Vec<u8>, after in "[a.~]{0,2}", before in "[a.~]{0,2}", length in 0..9_usize) {
            let slice = slice(&after, &before, length);
            if let Some(left) = slice.of(&text).map(|left| &text[left]) {
                prop_assert!(memmem::find(&text, left).is_some() && !left.is_empty());
                prop_assert!(length == 0 || left.len() <= length);
                prop_assert!(before.is_empty() || memmem::find(left, before.as_bytes()).is_none());
            }
        }
    }
}
