//! `NAME~value`: a server's name before the value of an application's cookie, as HAProxy and Tengine write it in `prefix` mode.

use std::borrow::Cow;

use memchr::memchr;

use super::opened::Opened;
use super::servers::Servers;
use crate::token::plain;

/// An unknown name is removed too, as both proxies do: the application never saw it.
pub(crate) fn open<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    let Some(end) = memchr(b'~', value) else { return Opened::NotMine };
    let (name, rest) = (&value[..end], Some(Cow::Borrowed(&value[end + 1..])));
    match servers.find(name) {
        Some(server) => Opened::Server { server, stamps: None, rest },
        None if plain::open(name).is_ok() => Opened::Stranger { rest },
        None => Opened::NotMine,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of};
    use super::super::{Carrier, FormatSpec};

    // The first value was captured from HAProxy 2.6.12 in `prefix` mode.
    #[test]
    fn the_first_tilde_separates_name_and_application_value() {
        for spec in [FormatSpec::Haproxy { dynamic_cookie_key: None }, FormatSpec::Tengine] {
            assert_read(
                &reader_of(&spec, Carrier::PrefixedCookie, None),
                &[
                    ("s1~app-value", "web-1 - - app-value"),
                    ("s2~a~b", "web-2 - - a~b"),
                    ("s3~", "web-3 - - "),
                    ("s4~app-value", "stranger app-value"),
                    ("~app-value", "not mine"),
                    ("a b~app-value", "not mine"),
                    ("s1", "not mine"),
                ],
            );
        }
    }
}
