//! The target of a request, in its four forms (RFC 9112 3.2).

use super::authority;
use super::fault::RequestFault;

/// What a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target<'b> {
    /// A path, which begins with `/`, and its query.
    Origin(&'b [u8]),
    /// A URL of `http` or `https`.
    Absolute {
        authority: &'b [u8],
        /// Begins with `/` or `?`, or is empty.
        path: &'b [u8],
    },
    /// `*`: the server as a whole.
    Asterisk,
}

impl<'b> Target<'b> {
    /// Reads the target of a request with this method.
    ///
    /// # Errors
    /// Another form, or a byte that is not allowed: control characters, spaces and `#`, where some readers end the path.
    pub fn read(method: &[u8], target: &'b [u8]) -> Result<Self, RequestFault> {
        if method == b"CONNECT" {
            return Err(RequestFault::Connect);
        }
        if !target.iter().all(|&byte| byte > b' ' && byte != b'#' && byte != 0x7f) {
            return Err(RequestFault::Target);
        }
        match target {
            [b'/', ..] => Ok(Self::Origin(target)),
            b"*" if method == b"OPTIONS" => Ok(Self::Asterisk),
            _ => absolute(target).ok_or(RequestFault::Target),
        }
    }

    /// The authority that the target itself names.
    pub fn authority(&self) -> Option<&'b [u8]> {
        match self {
            Self::Absolute { authority, .. } => Some(authority),
            Self::Origin(_) | Self::Asterisk => None,
        }
    }

    /// Writes the target as an origin server gets it (RFC 9112 3.2.1).
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Origin(path) => out.extend_from_slice(path),
            Self::Absolute { path, .. } => {
                if !path.starts_with(b"/") {
                    out.push(b'/');
                }
                out.extend_from_slice(path);
            }
            Self::Asterisk => out.push(b'*'),
        }
    }
}

fn absolute(target: &[u8]) -> Option<Target<'_>> {
    let scheme_end = memchr::memmem::find(target, b"://")?;
    let (scheme, rest) = (&target[..scheme_end], &target[scheme_end + 3..]);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    (!authority.is_empty() && authority::is_valid(authority)).then_some(Target::Absolute { authority, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: &str, target: &str) -> Result<String, RequestFault> {
        let mut out = Vec::new();
        Target::read(method.as_bytes(), target.as_bytes())?.write(&mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_server_gets_the_path_alone() {
        for (target, path) in [
            ("/a?b", "/a?b"),
            ("//a", "//a"),
            ("http://h/x", "/x"),
            ("HTTP://h:80/x?y", "/x?y"),
            ("https://h", "/"),
            ("http://h?q", "/?q"),
            ("/a|\"{}é", "/a|\"{}é"),
        ] {
            assert_eq!(sent("GET", target).as_deref(), Ok(path), "{target}");
        }
        assert_eq!(sent("OPTIONS", "*").as_deref(), Ok("*"));
    }

    #[test]
    fn other_targets_are_faults() {
        for target in [
            "",
            "admin/x",
            "haproxy.org:80",
            "*",
            "*/test",
            "ftp://h/",
            "http:///x",
            "http://u@h/",
            "http://a b/",
            "/a b",
            "/a#b",
            "/a\0",
            "/a\x7f",
            "/a\tb",
        ] {
            assert_eq!(sent("GET", target), Err(RequestFault::Target), "{target:?}");
        }
        assert_eq!(sent("OPTIONS", "*/test"), Err(RequestFault::Target));
        assert_eq!(sent("CONNECT", "h:443"), Err(RequestFault::Connect));
    }
}
