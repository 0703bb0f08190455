//! Request paths in the form that routing compares. The server gets the path as the client sent it.

use std::borrow::Cow;

/// The path in its normal form (RFC 3986 6.2.2): unreserved characters are decoded, other escapes are in upper case, a
/// `%` that starts no escape is escaped, and dot segments are removed. `%2F` is kept and separates no segments. A path
/// that does not start with `/`, such as `*`, is unchanged.
pub fn normalized(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    let is_normal = !bytes.contains(&b'%') && !bytes.windows(2).any(|pair| pair == b"/.");
    if is_normal || !path.starts_with('/') {
        return Cow::Borrowed(path);
    }
    Cow::Owned(without_dot_segments(&decoded(path)))
}

/// Whether a path is the prefix or lies below it: `/app` covers `/app` and `/app/x`, not `/application`. `/app/` covers
/// only paths below it.
pub fn has_prefix(path: &str, prefix: &str) -> bool {
    let at_boundary = |rest: &str| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/');
    path.strip_prefix(prefix).is_some_and(at_boundary)
}

/// The path without the parameters of its segments, which follow a `;` (RFC 3986 3.3). Nothing is decoded.
pub fn without_parameters(path: &str) -> Cow<'_, str> {
    if !path.contains(';') {
        return Cow::Borrowed(path);
    }
    let segments: Vec<&str> =
        path.split('/').map(|segment| segment.split_once(';').map_or(segment, |(bare, _)| bare)).collect();
    Cow::Owned(segments.join("/"))
}

fn decoded(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, escape)) = rest.split_once('%') {
        decoded.push_str(before);
        rest = escape;
        let Some((digits, byte)) = escape.get(..2).and_then(|digits| Some((digits, byte_of(digits)?))) else {
            // It starts no escape, and must not become one together with characters that are decoded after it.
            decoded.push_str("%25");
            continue;
        };
        rest = &escape[2..];
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            decoded.push(byte.into());
        } else {
            decoded.push('%');
            decoded.extend(digits.chars().map(|digit| digit.to_ascii_uppercase()));
        }
    }
    decoded.push_str(rest);
    decoded
}

/// The byte that two hexadecimal digits stand for; `from_str_radix` would also take a sign.
fn byte_of(digits: &str) -> Option<u8> {
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// RFC 3986 5.2.4, for a path that starts with `/`.
fn without_dot_segments(path: &str) -> String {
    let mut clear = String::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    clear.truncate(clear.rfind('/').unwrap_or(0));
                }
                if last {
                    clear.push('/');
                }
            }
            _ => clear.extend(["/", segment]),
        }
    }
    clear
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percent_sign_without_an_escape_stays_literal() {
        assert_eq!(normalized("/%4%44E"), "/%254DE");
        assert_eq!(normalized("/%4%44E"), normalized(&normalized("/%4%44E")));
        assert_eq!(normalized("/100%"), "/100%25");
    }

    #[test]
    fn a_normal_path_is_borrowed() {
        for path in ["/", "/a/b.c/", "/a//b", "/a..b/c...", "*", "", "a/../b"] {
            assert!(matches!(normalized(path), Cow::Borrowed(same) if same == path), "{path:?}");
        }
    }

    #[test]
    fn dot_segments_are_removed_and_unreserved_characters_decoded() {
        for (path, normal) in [
            ("/app/../admin", "/admin"),
            ("/%61pp", "/app"),
            ("/app/%2e%2E/admin", "/admin"),
            ("/a/./b/.", "/a/b/"),
            ("/a/b/..", "/a/"),
            ("/../../a", "/a"),
            ("/..", "/"),
            ("/a//../b", "/a/b"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a%2fb%3b%c3%A4", "/a%2Fb%3B%C3%A4"),
            ("/%", "/%25"),
            ("/%4", "/%254"),
            ("/%+1%zz%ä", "/%25+1%25zz%25ä"),
        ] {
            assert_eq!(normalized(path), normal, "{path:?}");
        }
    }

    #[test]
    fn an_escape_is_decoded_once() {
        assert_eq!(normalized("/%2561"), "/%2561");
    }

    #[test]
    fn a_prefix_ends_at_a_segment_boundary() {
        assert!(has_prefix("/app", "/app") && has_prefix("/app/", "/app") && has_prefix("/app/x", "/app"));
        assert!(!has_prefix("/application", "/app") && !has_prefix("/ap", "/app"));
        assert!(has_prefix("/app/x", "/app/") && !has_prefix("/app", "/app/"));
        assert!(has_prefix("/anything", "/") && has_prefix("/", "/"));
    }

    #[test]
    fn path_parameters_follow_a_semicolon_in_a_segment() {
        assert_eq!(without_parameters("/a;x=1;y/b;/;z/c"), "/a/b//c");
        assert_eq!(without_parameters(";x"), "");
        assert!(matches!(without_parameters("/a/b%3Bc/"), Cow::Borrowed("/a/b%3Bc/")));
    }

    proptest! {
        #[test]
        fn a_normal_path_has_no_dot_segments(path in "/([a%2e./]|%2[eE]|[.][.]/){0,24}") {
            let normal = normalized(&path);
            prop_assert!(normal.starts_with('/'));
            prop_assert!(!normal.split('/').any(|segment| segment == "." || segment == ".."), "{normal}");
        }

        #[test]
        fn any_path_can_be_normalized(path: String) {
            let _ = normalized(&path);
        }
    }
}
