//! Cache-Control, for one purpose: a shared cache must not store a response that carries a client's own cookie.

use ::http::header::CACHE_CONTROL;
use ::http::{HeaderMap, HeaderValue};

/// The Cache-Control that makes the response private: without `public` and `s-maxage`, and with `private` unless it or
/// `no-store` is there already. None if nothing has to change. All other directives are kept byte for byte; several
/// lines become one. `private="field"` applies to that field only (RFC 9111 5.2.2.7) and does not make the response
/// private.
pub fn make_private(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut found = Found::default();
    for directive in directives(headers) {
        found.add(Role::of(directive));
    }
    if found.private && !found.shared {
        return None;
    }
    if !found.private && !found.other {
        return Some(HeaderValue::from_static("private"));
    }
    HeaderValue::try_from(rewritten(headers, &found)).ok()
}

/// What a directive means for shared caches.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    /// Lets them store the response.
    Shares,
    /// Forbids them to store it.
    KeepsPrivate,
    Other,
}

impl Role {
    fn of(directive: &[u8]) -> Self {
        let (name, argument) = match directive.iter().position(|&byte| byte == b'=') {
            Some(at) => (directive[..at].trim_ascii(), Some(())),
            None => (directive, None),
        };
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        match argument {
            _ if is("public") || is("s-maxage") => Self::Shares,
            None if is("private") || is("no-store") => Self::KeepsPrivate,
            Some(()) | None => Self::Other,
        }
    }
}

/// The roles that occur in a header.
#[derive(Default)]
struct Found {
    shared: bool,
    private: bool,
    other: bool,
}

impl Found {
    fn add(&mut self, role: Role) {
        match role {
            Role::Shares => self.shared = true,
            Role::KeepsPrivate => self.private = true,
            Role::Other => self.other = true,
        }
    }
}

fn rewritten(headers: &HeaderMap, found: &Found) -> Vec<u8> {
    let mut line = Vec::with_capacity(64);
    let kept = directives(headers).filter(|directive| Role::of(directive) != Role::Shares);
    let added = (!found.private).then_some(&b"private"[..]);
    for directive in kept.chain(added) {
        if !line.is_empty() {
            line.extend_from_slice(b", ");
        }
        line.extend_from_slice(directive);
    }
    line
}

/// The directives of all lines, trimmed, without empty ones.
fn directives(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
    lines.flat_map(Directives).filter(|directive| !directive.is_empty())
}

/// Splits at commas, but not within a quoted string. A quote that is never closed takes the rest of the line.
struct Directives<'a>(&'a [u8]);

impl<'a> Iterator for Directives<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = end_of_directive(self.0);
        let directive = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Some(directive.trim_ascii())
    }
}

fn end_of_directive(line: &[u8]) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let at_end = |&byte: &u8| {
        if escaped {
            escaped = false;
            return false;
        }
        escaped = quoted && byte == b'\\';
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    };
    line.iter().position(at_end).unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(lines: &[&str]) -> Option<String> {
        let headers: HeaderMap = lines.iter().map(|line| (CACHE_CONTROL, HeaderValue::from_str(line).unwrap())).collect();
        make_private(&headers).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_response_without_directives_becomes_private() {
        assert_eq!(after(&[]).as_deref(), Some("private"));
        assert_eq!(after(&[" ,, "]).as_deref(), Some("private"));
    }

    #[test]
    fn a_private_response_is_left_alone() {
        for line in ["private", "no-store", "max-age=60, Private", "no-cache,NO-STORE", "private, private=\"x\""] {
            assert_eq!(after(&[line]), None, "{line:?}");
        }
        assert_eq!(after(&["max-age=60", "private"]), None);
    }

    #[test]
    fn directives_for_shared_caches_are_removed_and_others_kept() {
        assert_eq!(after(&["public"]).as_deref(), Some("private"));
        assert_eq!(after(&["PUBLIC, max-age=60 ,S-MaxAge = 9"]).as_deref(), Some("max-age=60, private"));
        assert_eq!(after(&["public, private"]).as_deref(), Some("private"));
        assert_eq!(after(&["no-store, s-maxage=1"]).as_deref(), Some("no-store"));
        assert_eq!(after(&["public, max-age=60", "no-cache"]).as_deref(), Some("max-age=60, no-cache, private"));
    }

    #[test]
    fn text_in_quotes_is_no_directive() {
        let qualified = "private=\"x-a, public\"";
        assert_eq!(after(&[qualified]), Some(format!("{qualified}, private")));
        assert_eq!(after(&["ext=\"a\\\", public\", public"]).as_deref(), Some("ext=\"a\\\", public\", private"));
        assert_eq!(after(&["ext=\"open, no-store"]).as_deref(), Some("ext=\"open, no-store, private"));
    }

    proptest! {
        #[test]
        fn making_a_response_private_is_idempotent(
            lines in proptest::collection::vec("(public|private|no-store|s-maxage=1|max-age=2|x=\"a, b\"|[ ,=]){0,6}", 0..3),
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            if let Some(once) = after(&lines) {
                prop_assert_eq!(after(&[&once]), None);
            }
        }
    }
}
