//! Whether a request has one unambiguous length. It reads the raw bytes of a request's head, so it sees what a parser has
//! dropped, and knows no header map, no body and no limit.

/// Whether a request has two conflicting lengths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    Sound,
    /// Content-Length and Transfer-Encoding: two proxies may see two different requests in it (RFC 9112 6.1).
    Conflict,
}

/// Checks a raw HTTP/1 request head, before a parser drops one of the two headers. Lines may end in a bare LF. Only
/// useful if Transfer-Encoding is present.
pub fn framing(raw_head: &[u8]) -> Framing {
    let lines = raw_head.split(|&byte| byte == b'\n').skip(1).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split(|&byte| byte == b':').next());
    let (mut length, mut coding) = (false, false);
    for name in names {
        length |= name.trim_ascii().eq_ignore_ascii_case(b"content-length");
        coding |= name.trim_ascii().eq_ignore_ascii_case(b"transfer-encoding");
    }
    if length && coding { Framing::Conflict } else { Framing::Sound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lengths_are_a_conflict() {
        let head = |fields: &str| framing(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
        assert_eq!(head("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), Framing::Conflict);
        assert_eq!(head("transfer-encoding : chunked\nCONTENT-LENGTH:1\n"), Framing::Conflict);
        assert_eq!(head("Transfer-Encoding: chunked\r\n"), Framing::Sound);
        assert_eq!(head("Content-Length: 1\r\nX: transfer-encoding: chunked\r\n"), Framing::Sound);
        assert_eq!(head("Transfer-Encoding: chunked\r\n\r\nContent-Length: 1\r\n"), Framing::Sound, "this is in the body");
        assert_eq!(framing(b""), Framing::Sound);
    }
}
