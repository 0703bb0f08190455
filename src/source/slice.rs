//! What of a text counts: what stands behind a separator, before another, and how much of it.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memmem};

/// A cut. Its parts apply in the order of the fields; without any the whole text counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cut {
    /// Only what stands behind the first of these, as Apache's `stickysessionsep` has it; nothing where there is none.
    pub after: Option<Separator>,
    /// Only what stands before the first of these; all of it where there is none.
    pub before: Option<Separator>,
    /// At most so many octets.
    pub length: Option<NonZeroUsize>,
}

/// What parts a text in two: not empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Separator(Arc<str>);

/// Why a text is not a separator.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a separator must not be empty")]
pub struct EmptySeparator;

impl Separator {
    /// Takes a separator as the user wrote it.
    ///
    /// # Errors
    /// [`EmptySeparator`] where there is nothing.
    pub fn parse(text: &str) -> Result<Self, EmptySeparator> {
        if text.is_empty() { Err(EmptySeparator) } else { Ok(Self(text.into())) }
    }

    /// What stands before the first of it, and behind that.
    fn split<'t>(&self, text: &'t [u8]) -> Option<(&'t [u8], &'t [u8])> {
        let at = match self.0.as_bytes() {
            [one] => memchr(*one, text),
            // Preparing this search costs more than the search.
            several => memmem::find(text, several),
        }?;
        Some((&text[..at], &text[at + self.0.len()..]))
    }
}

impl Cut {
    /// Where in a text that stands which the cut leaves of it. None where nothing is left.
    pub(crate) fn of(&self, text: &[u8]) -> Option<Range<usize>> {
        let rest = match &self.after {
            Some(separator) => separator.split(text)?.1,
            None => text,
        };
        let before = self.before.as_ref().and_then(|separator| separator.split(rest));
        let left = before.map_or(rest, |(before, _)| before).len();
        let length = self.length.map_or(left, |longest| left.min(longest.get()));
        let start = text.len() - rest.len();
        (length > 0).then_some(start..start + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(after: &str, before: &str, length: usize) -> Cut {
        let separator = |text: &str| Separator::parse(text).ok();
        Cut { after: separator(after), before: separator(before), length: NonZeroUsize::new(length) }
    }

    fn left<'t>(cut: &Cut, text: &'t str) -> Option<&'t str> {
        cut.of(text.as_bytes()).map(|left| &text[left])
    }

    #[test]
    fn after_is_what_stands_behind_the_first_separator() {
        let route = cut(".", "", 0);
        assert_eq!(left(&route, "1A2B.node1"), Some("node1"));
        assert_eq!(left(&route, "1A2B.node1.x"), Some("node1.x"));
        assert_eq!(left(&route, ".node1"), Some("node1"));
        for without in ["1A2B", "1A2B.", ""] {
            assert_eq!(left(&route, without), None, "{without:?}");
        }
        assert_eq!(left(&cut("::", "", 0), "a:b::c"), Some("c"));
    }

    #[test]
    fn before_is_what_stands_before_the_first_separator_or_all() {
        let prefix = cut("", "~", 0);
        assert_eq!(left(&prefix, "s1~1A~2B"), Some("s1"));
        assert_eq!(left(&prefix, "1A2B"), Some("1A2B"));
        assert_eq!(left(&prefix, "~1A2B"), None);
    }

    #[test]
    fn a_length_counts_octets() {
        assert_eq!(left(&cut("", "", 3), "abcdef"), Some("abc"));
        assert_eq!(left(&cut("", "", 3), "ab"), Some("ab"));
        assert_eq!(cut("", "", 1).of("ä".as_bytes()), Some(0..1));
    }

    #[test]
    fn after_goes_first_then_before_then_the_length() {
        assert_eq!(left(&cut(".", "~", 2), "x~y.node~z"), Some("no"));
        assert_eq!(left(&cut(".", "~", 2), "x~y.n~z"), Some("n"));
        assert_eq!(left(&cut("~", "~", 0), "a~b~c"), Some("b"));
    }

    #[test]
    fn without_a_cut_all_counts_but_nothing_is_nothing() {
        assert_eq!(left(&Cut::default(), "a.b~c"), Some("a.b~c"));
        assert_eq!(left(&Cut::default(), ""), None);
    }

    proptest! {
        #[test]
        fn what_is_left_is_part_of_the_text(text: Vec<u8>, after in "[a.~]{0,2}", before in "[a.~]{0,2}", length in 0..9_usize) {
            let cut = cut(&after, &before, length);
            if let Some(left) = cut.of(&text).map(|left| &text[left]) {
                prop_assert!(memmem::find(&text, left).is_some() && !left.is_empty());
                prop_assert!(length == 0 || left.len() <= length);
                prop_assert!(before.is_empty() || memmem::find(left, before.as_bytes()).is_none());
            }
        }
    }
}
