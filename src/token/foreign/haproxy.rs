//! HAProxy, `cookie`: the server's `cookie` value; with `dynamic`, a keyed hash of the server's address instead; with `maxidle`
//! or `maxlife`, dates follow in units of four seconds, each as five characters of base64.
//!
//! A stamp is rounded up, so it may lie up to three seconds in the future.

use std::net::{IpAddr, SocketAddr};

use twox_hash::XxHash64;

use super::dated;
use super::opened::Opened;
use super::servers::{Servers, is_hex};
use crate::session::named_secret::NamedSecret;
use crate::session::server_ref::ServerRef;
use crate::time::UnixSeconds;

pub(crate) fn names(server: &ServerRef<'_>, dynamic_cookie_key: Option<&NamedSecret>) -> Vec<String> {
    let dynamic = server.address.zip(dynamic_cookie_key).map(|(address, key)| dynamic(key.bytes(), address));
    [server.route.to_owned()].into_iter().chain(dynamic).collect()
}

pub(crate) fn open<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    let (name, stamps) = dated::split(value, date);
    match servers.find(name) {
        Some(server) => Opened::Server { server, stamps, rest: None },
        None if stamps.is_some() || is_hex(name, 16) => Opened::Stranger { rest: None },
        None => Opened::NotMine,
    }
}

/// XXH64 over key, address and port, the port in four bytes.
fn dynamic(key: &[u8], address: SocketAddr) -> String {
    let mut hashed = key.to_vec();
    match address.ip() {
        IpAddr::V4(ip) => hashed.extend(ip.octets()),
        IpAddr::V6(ip) => hashed.extend(ip.octets()),
    }
    hashed.extend(u32::from(address.port()).to_be_bytes());
    format!("{:016x}", XxHash64::oneshot(0, &hashed))
}

/// Five digits of six bits, most significant first.
fn date(text: &[u8]) -> Option<UnixSeconds> {
    let digits: &[u8; 5] = text.try_into().ok()?;
    let quanta = digits.iter().try_fold(0, |number: u32, &c| Some(number << 6 | digit(c)?))?;
    Some(UnixSeconds(quanta << 2))
}

fn digit(c: u8) -> Option<u32> {
    let value = match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of, secret};
    use super::super::{Carrier, FormatSpec};

    fn assert_cookies(values: &[(&str, &str)]) {
        assert_read(&reader_of(&FormatSpec::Haproxy { dynamic_cookie_key: None }, Carrier::Cookie, None), values);
    }

    #[test]
    fn a_server_is_its_name() {
        assert_cookies(&[("s1", "web-1 - - -"), ("s4", "not mine"), ("S1", "not mine"), ("", "not mine")]);
    }

    // Captured from HAProxy 2.6.12 with `maxidle 30m maxlife 8h`.
    #[test]
    fn dates_are_five_digits_of_base64_in_units_of_four_seconds() {
        assert_cookies(&[
            ("s2|awAVM|awAVM", "web-2 1795167536 1795167536 -"),
            ("s2|awAVN|awAVM", "web-2 1795167536 1795167540 -"),
            ("s1|aVW5A", "web-1 1767225600 1767225600 -"),
            ("s1|awEY9|awEY9", "web-1 1795234036 1795234036 -"),
            ("s1|/////", "web-1 4294967292 4294967292 -"),
            ("s4|awAVM|awAVM", "stranger -"),
        ]);
    }

    #[test]
    fn an_unreadable_date_is_ignored() {
        for value in ["s1||", "s1|", "s1|aVW5", "s1|aVW5A|aVW5", "s1|aVW-A", "s1||aVW5A", "s1|aVW5A|aVW5A|"] {
            assert_cookies(&[(value, "web-1 - - -")]);
        }
    }

    // Captured from HAProxy 2.6.12 with `dynamic-cookie-key "a dynamic key"`.
    #[test]
    fn a_dynamic_value_is_a_keyed_hash_of_the_address() {
        let (source, secret) = secret("a dynamic key");
        let reader = reader_of(&FormatSpec::Haproxy { dynamic_cookie_key: Some(source) }, Carrier::Cookie, Some(&secret));
        assert_read(
            &reader,
            &[
                ("9cbe03a81e53f640", "web-1 - - -"),
                ("3f86ae21eaf28b1e", "web-2 - - -"),
                ("9cbe03a81e53f640|aVW5A", "web-1 1767225600 1767225600 -"),
                ("s1", "web-1 - - -"),
                ("9cbe03a81e53f641", "stranger -"),
            ],
        );
        assert_cookies(&[("9cbe03a81e53f640", "stranger -")]);
    }
}
