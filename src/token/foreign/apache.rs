//! Apache httpd, `stickysession`: the application's own session id, a separator and the server's route, as Tomcat and others
//! add it (`jvmRoute`). The value belongs to the application.

use memchr::memchr;

use super::opened::Opened;
use super::servers::Servers;
use crate::session::server_ref::ServerRef;

/// The character between session id and route (`stickysessionsep`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Separator(u8);

/// A separator that is not exactly one character allowed in a cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a separator is one punctuation character that is allowed in a cookie value")]
pub struct InvalidSeparator;

impl Separator {
    /// Parses a configured separator.
    ///
    /// # Errors
    /// [`InvalidSeparator`] for anything that is not one suitable character.
    pub fn parse(text: &str) -> Result<Self, InvalidSeparator> {
        match text.as_bytes() {
            &[c] if c.is_ascii_punctuation() && !matches!(c, b'"' | b',' | b';' | b'\\') => Ok(Self(c)),
            _ => Err(InvalidSeparator),
        }
    }
}

impl Default for Separator {
    fn default() -> Self {
        Self(b'.')
    }
}

pub(crate) fn names(server: &ServerRef<'_>) -> Vec<String> {
    vec![server.route.to_owned()]
}

/// As in Apache, the route follows the first separator.
pub(crate) fn open<'r, 'v>(servers: &'r Servers, separator: Separator, value: &'v [u8]) -> Opened<'r, 'v> {
    match memchr(separator.0, value) {
        Some(end) => servers.open(&value[end + 1..], |route| !route.is_empty()),
        None => Opened::NotMine,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of};
    use super::super::{Carrier, FormatSpec};
    use super::*;

    fn assert_cookies(separator: &str, values: &[(&str, &str)]) {
        let spec = FormatSpec::Apache { separator: Separator::parse(separator).unwrap() };
        assert_read(&reader_of(&spec, Carrier::Cookie, None), values);
    }

    #[test]
    fn the_route_follows_the_first_separator() {
        assert_cookies(
            ".",
            &[
                ("0A1B2C.s1", "web-1 - - -"),
                (".s2", "web-2 - - -"),
                ("0A1B2C.x.s1", "stranger -"),
                ("0A1B2C.s4", "stranger -"),
                ("0A1B2C.", "not mine"),
                ("s1", "not mine"),
            ],
        );
        assert_cookies("!", &[("0A1B2C.x!s1", "web-1 - - -"), ("0A1B2C.s1", "not mine")]);
    }

    #[test]
    fn a_separator_is_one_character_allowed_in_a_cookie() {
        assert_eq!(Separator::parse("."), Ok(Separator::default()));
        for wrong in ["", "..", "a", "7", " ", ";", ",", "\"", "\\", "\u{e4}"] {
            assert_eq!(Separator::parse(wrong), Err(InvalidSeparator), "{wrong:?}");
        }
    }
}
