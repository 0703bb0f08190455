//! Hosts with or without a port, as Host and absolute targets have them (RFC 3986 3.2).

/// The port of `http`.
const DEFAULT_PORT: &[u8] = b"80";

/// Whether this is a name or an address, with or without a port. Stricter than RFC 3986: no user, no comma, no port beyond 65535.
pub fn is_valid(authority: &[u8]) -> bool {
    let (host, port) = split(authority);
    let named = match host.strip_prefix(b"[") {
        Some(rest) => rest.strip_suffix(b"]").is_some_and(is_address),
        None => host.iter().all(|&byte| is_name_byte(byte)) && escapes_are_whole(host),
    };
    named && port.is_none_or(is_port)
}

/// Whether two valid authorities of `http` are the same: letters in either case, the default port written or not.
pub fn are_same(one: &[u8], other: &[u8]) -> bool {
    let normal = |authority| {
        let (host, port): (&[u8], Option<&[u8]>) = split(authority);
        (host, port.filter(|port| !port.is_empty() && *port != DEFAULT_PORT))
    };
    let ((host, port), (other_host, other_port)) = (normal(one), normal(other));
    host.eq_ignore_ascii_case(other_host) && port == other_port
}

/// Host and port. The colons of an address in brackets are its own.
fn split(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_address = memchr::memrchr(b']', authority).map_or(0, |at| at + 1);
    match memchr::memchr(b':', &authority[after_address..]) {
        Some(at) => (&authority[..after_address + at], Some(&authority[after_address + at + 1..])),
        None => (authority, None),
    }
}

fn is_address(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_port(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit)
        && (digits.is_empty() || std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok()))
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
        )
}

fn escapes_are_whole(name: &[u8]) -> bool {
    let starts = memchr::memchr_iter(b'%', name);
    starts.into_iter().all(|at| name.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port() {
        for host in
            ["", "a", "a.example", "A_b.example:8080", "192.0.2.7", "[::1]", "[2001:db8::1]:443", "a:", "x%20y", "xn--a.b"]
        {
            assert!(is_valid(host.as_bytes()), "{host:?}");
        }
        for host in [
            "a b", "a/b", "a, b", "a,b", "x:80a", "x:y:80", "::1", "[::1", "[a]", "u@a", "a:65536", "a?b", "a#b", "a\\b",
            "ä", "x%2", "[::1]x", "a\tb", "a\"b", "<a>",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host:?}");
        }
    }

    #[test]
    fn case_and_the_default_port_make_no_difference() {
        assert!(are_same(b"APP.example:80", b"app.example") && are_same(b"a:", b"a") && are_same(b"[::1]:80", b"[::1]"));
        assert!(!are_same(b"a", b"b") && !are_same(b"a:81", b"a") && !are_same(b"[::1]:8", b"[::1]"));
    }
}
