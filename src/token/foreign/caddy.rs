//! Caddy, `lb_policy cookie`: HMAC-SHA256 of the server's address, in hexadecimal. Unless the configuration names a secret,
//! the HMAC key is empty.

use aws_lc_rs::hmac;

use super::opened::Opened;
use super::servers::{Servers, hex, is_hex};
use crate::session::server_ref::ServerRef;

pub(crate) fn names(server: &ServerRef<'_>, secret: &[u8]) -> Vec<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = server.address.map(|address| hmac::sign(&key, address.to_string().as_bytes()));
    tag.map(|tag| hex(tag.as_ref())).into_iter().collect()
}

pub(crate) fn open<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    servers.open(value, |value| is_hex(value, 64))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of, secret};
    use super::super::{Carrier, FormatSpec};

    // Captured from Caddy 2.6.2, except the last value.
    #[test]
    fn a_server_is_the_hmac_of_its_address() {
        let (source, secret) = secret("secret");
        let reader = reader_of(&FormatSpec::Caddy { secret: Some(source) }, Carrier::Cookie, Some(&secret));
        assert_read(
            &reader,
            &[
                ("88920f0bd91625bc54b1212a70e6e04cb57de3e710aa93b5b84d88b0e9ed343b", "web-1 - - -"),
                ("b682c07cc0e71e410eeff417b444e3b329f3ae446d9418553ff384608e2d104d", "web-2 - - -"),
                ("19dfe701bec79c305837e0a20c6b6da0859fc81ce9c57b9af8a5b815d8622985", "stranger -"),
                ("88920f0bd91625bc", "not mine"),
            ],
        );
    }

    #[test]
    fn without_a_secret_the_key_is_empty() {
        let reader = reader_of(&FormatSpec::Caddy { secret: None }, Carrier::Cookie, None);
        assert_read(
            &reader,
            &[
                ("19dfe701bec79c305837e0a20c6b6da0859fc81ce9c57b9af8a5b815d8622985", "web-1 - - -"),
                ("88920f0bd91625bc54b1212a70e6e04cb57de3e710aa93b5b84d88b0e9ed343b", "stranger -"),
            ],
        );
    }
}
