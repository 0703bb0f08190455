//! Envoy, `stateful_session`: the server's address in base64. In a cookie it may also be a protobuf of address and expiry; around
//! an application's header its form is `base64(address);UV:base64(original value)`.
//!
//! The expiry is ignored: Envoy before 1.40 takes it from a clock that starts with the machine, and the two cannot be told apart.

use std::borrow::Cow;
use std::net::SocketAddr;

use base64_simd::{AsOut, STANDARD};
use memchr::memmem;

use super::opened::Opened;
use super::servers::Servers;
use crate::session::server_ref::ServerRef;

/// Longer than base64 of any address with any expiry.
const LONGEST: usize = 128;

pub(crate) fn names(server: &ServerRef<'_>) -> Vec<String> {
    server.address.map(|address| address.to_string()).into_iter().collect()
}

pub(crate) fn open_cookie<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    decoded(value, |bytes| servers.open(message(bytes).unwrap_or(bytes), is_address))
}

pub(crate) fn open_header<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    decoded(value, |bytes| servers.open(bytes, is_address))
}

pub(crate) fn open_envelope<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    const BETWEEN: &[u8] = b";UV:";
    let parts = memmem::find(value, BETWEEN).map(|end| (&value[..end], &value[end + BETWEEN.len()..]));
    let Some((host, original)) = parts else { return Opened::NotMine };
    let Ok(original) = STANDARD.decode_to_vec(original) else { return Opened::NotMine };
    let rest = Some(Cow::Owned(original));
    match open_header(servers, host) {
        Opened::Server { server, stamps, .. } => Opened::Server { server, stamps, rest },
        Opened::Stranger { .. } => Opened::Stranger { rest },
        Opened::NotMine => Opened::NotMine,
    }
}

/// Decodes on the stack, because this runs for requests.
fn decoded<'r, 'v>(value: &[u8], open: impl FnOnce(&[u8]) -> Opened<'r, 'v>) -> Opened<'r, 'v> {
    let mut bytes = [0; LONGEST];
    if value.len() > LONGEST {
        return Opened::NotMine;
    }
    STANDARD.decode(value, bytes.as_mut_slice().as_out()).map_or(Opened::NotMine, |bytes| open(bytes))
}

/// The address in `message Cookie { string address = 1; int64 expires = 2; }`. An address alone never matches: it does
/// not begin with a line feed.
fn message(bytes: &[u8]) -> Option<&[u8]> {
    const ADDRESS: u8 = 1 << 3 | 2;
    const EXPIRES: u8 = 2 << 3;
    let [ADDRESS, length, rest @ ..] = bytes else { return None };
    // A one-byte length is enough for an address; its highest bit would mean that another byte follows.
    let (address, rest) = rest.split_at_checked(usize::from(*length)).filter(|_| *length < 0x80)?;
    match rest {
        [] => Some(address),
        [EXPIRES, varint @ ..] => is_varint(varint).then_some(address),
        _ => None,
    }
}

/// Up to ten bytes; only the last has its highest bit clear.
fn is_varint(bytes: &[u8]) -> bool {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0);
    bytes.len() <= 10 && last.is_some_and(|last| last + 1 == bytes.len())
}

fn is_address(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<SocketAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of};
    use super::super::{Carrier, FormatSpec};
    use super::{STANDARD, is_varint, message};

    fn assert_values(carrier: Carrier, values: &[(&str, &str)]) {
        assert_read(&reader_of(&FormatSpec::Envoy, carrier, None), values);
    }

    #[test]
    fn a_cookie_is_the_address_or_a_message_with_it() {
        assert_values(
            Carrier::Cookie,
            &[
                ("MTI3LjAuMC4xOjgwODE=", "web-1 - - -"),
                ("Cg4xMjcuMC4wLjE6ODA4MQ==", "web-1 - - -"),
                ("Cg4xMjcuMC4wLjE6ODA4MRCA8tbKBg==", "web-1 - - -"),
                ("Wzo6MV06ODA4MQ==", "web-2 - - -"),
                ("CgpbOjoxXTo4MDgx", "web-2 - - -"),
                ("MTI3LjAuMC4xOjgwODA=", "stranger -"),
                ("MTI3LjAuMC4xOjgwODE", "not mine"),
                ("czE=", "not mine"),
                ("s1", "not mine"),
                ("", "not mine"),
            ],
        );
    }

    #[test]
    fn a_header_is_the_address_alone() {
        let values = [("MTI3LjAuMC4xOjgwODE=", "web-1 - - -"), ("Cg4xMjcuMC4wLjE6ODA4MQ==", "not mine")];
        assert_values(Carrier::Header, &values);
    }

    #[test]
    fn an_envelope_holds_the_applications_value_too() {
        assert_values(
            Carrier::Envelope,
            &[
                ("MTI3LjAuMC4xOjgwODE=;UV:dGhlLW1jcC1zZXNzaW9u", "web-1 - - the-mcp-session"),
                ("MTI3LjAuMC4xOjgwODE=;UV:", "web-1 - - "),
                ("MTI3LjAuMC4xOjgwODA=;UV:dGhlLW1jcC1zZXNzaW9u", "stranger the-mcp-session"),
                ("MTI3LjAuMC4xOjgwODE=;UV:the session", "not mine"),
                ("MTI3LjAuMC4xOjgwODE=", "not mine"),
                (";UV:dGhlLW1jcC1zZXNzaW9u", "not mine"),
            ],
        );
    }

    #[test]
    fn a_message_ends_with_its_last_field() {
        assert_eq!(message(b"\x0a\x02ab"), Some(&b"ab"[..]));
        assert_eq!(message(b"\x0a\x02ab\x10\x80\x01"), Some(&b"ab"[..]));
        for wrong in
            [&b""[..], b"\x0a", b"\x0a\x03ab", b"\x0a\x02abc", b"\x0a\x02ab\x10", b"\x0a\x02ab\x10\x80", b"\x12\x02ab"]
        {
            assert_eq!(message(wrong), None, "{wrong:?}");
        }
        assert!(!is_varint(&[0x80; 10]) && !is_varint(&[0xff; 20]) && !is_varint(&[0, 0]));
    }

    #[test]
    fn a_value_longer_than_any_address_is_not_decoded() {
        let long = STANDARD.encode_to_string([b'1'; 300]);
        assert_values(Carrier::Cookie, &[(&long, "not mine")]);
    }
}
