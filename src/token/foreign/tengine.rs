//! Tengine, `session_sticky`: the MD5 of the server's address in hexadecimal (`hash=md5`), or its `id=` or plain address
//! (`hash=plain`); with `maxidle` or `maxlife`, two dates follow as decimal seconds since 1970.

use super::dated;
use super::opened::Opened;
use super::servers::{Servers, is_hex, md5_hex};
use crate::session::server_ref::ServerRef;
use crate::time::UnixSeconds;

pub(crate) fn names(server: &ServerRef<'_>) -> Vec<String> {
    let address = server.address.map(|address| address.to_string());
    let hashed = address.as_deref().map(md5_hex);
    let plain = [server.route.to_owned(), server.id.as_str().to_owned()];
    plain.into_iter().chain(hashed).chain(address).collect()
}

pub(crate) fn open<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    let (name, stamps) = dated::split(value, date);
    match servers.find(name) {
        Some(server) => Opened::Server { server, stamps, rest: None },
        None if stamps.is_some() || is_hex(name, 32) => Opened::Stranger { rest: None },
        None => Opened::NotMine,
    }
}

fn date(text: &[u8]) -> Option<UnixSeconds> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let seconds = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    Some(UnixSeconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of};
    use super::super::{Carrier, FormatSpec};

    fn assert_cookies(values: &[(&str, &str)]) {
        assert_read(&reader_of(&FormatSpec::Tengine, Carrier::Cookie, None), values);
    }

    #[test]
    fn a_server_is_the_md5_of_its_address_or_plain() {
        assert_cookies(&[
            ("df2b80dc43705d28db9be6f29fe58da3", "web-1 - - -"),
            ("[::1]:8081", "web-2 - - -"),
            ("s3", "web-3 - - -"),
            ("web-3", "web-3 - - -"),
            ("df2b80dc43705d28db9be6f29fe58da4", "stranger -"),
            ("s4", "not mine"),
        ]);
    }

    #[test]
    fn dates_are_decimal_seconds_last_seen_first() {
        assert_cookies(&[
            ("s1|1767225600|1767220000", "web-1 1767220000 1767225600 -"),
            ("s1|1767225600|", "web-1 1767225600 1767225600 -"),
            ("s1|1767225600", "web-1 1767225600 1767225600 -"),
            ("s4|1767225600|1767220000", "stranger -"),
        ]);
    }

    #[test]
    fn an_unreadable_date_is_ignored() {
        for value in ["s1||", "s1|", "s1|x|1767220000", "s1|1767225600|x", "s1|+1|1", "s1|4294967296|1", "s1|1|2|3"] {
            assert_cookies(&[(value, "web-1 - - -")]);
        }
    }
}
