//! nginx, `sticky cookie` (1.29.6 and later, nginx Plus before): the MD5 of the server's address in hexadecimal, or its
//! `route=` value.

use super::opened::Opened;
use super::servers::{Servers, is_hex, md5_hex};
use crate::session::server_ref::ServerRef;

pub(crate) fn names(server: &ServerRef<'_>) -> Vec<String> {
    let hashed = server.address.map(|address| md5_hex(&address.to_string()));
    hashed.into_iter().chain([server.route.to_owned()]).collect()
}

pub(crate) fn open<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    servers.open(value, |value| is_hex(value, 32))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of};
    use super::super::{Carrier, FormatSpec};

    #[test]
    fn a_server_is_the_md5_of_its_address_or_its_route() {
        let reader = reader_of(&FormatSpec::Nginx, Carrier::Cookie, None);
        assert_read(
            &reader,
            &[
                ("df2b80dc43705d28db9be6f29fe58da3", "web-1 - - -"),
                ("8919107122a27d3f39bd5922c02be3df", "web-2 - - -"),
                ("s3", "web-3 - - -"),
                ("df2b80dc43705d28db9be6f29fe58da4", "stranger -"),
                ("DF2B80DC43705D28DB9BE6F29FE58DA3", "not mine"),
                ("s4", "not mine"),
                ("", "not mine"),
            ],
        );
    }
}
