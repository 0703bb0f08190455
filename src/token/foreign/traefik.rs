//! Traefik, `sticky.cookie`: the first 16 hexadecimal digits of the SHA-256 of the server's URL. Earlier versions
//! wrote the URL itself, its FNV-1 hash, or the FNV-1 hash of that hash's digits; both hashes without leading zeros.

use super::opened::Opened;
use super::servers::{Servers, hex, is_hex};
use crate::session::server_ref::ServerRef;
use crate::token::hash::sha256;

pub(crate) fn names(server: &ServerRef<'_>) -> Vec<String> {
    let Some(address) = server.address else { return Vec::new() };
    let url = format!("http://{address}");
    let current = hex(&sha256(&[url.as_bytes()]).as_ref()[..8]);
    let once = format!("{:x}", fnv1(&url));
    let twice = format!("{:x}", fnv1(&once));
    vec![current, url, once, twice]
}

pub(crate) fn open<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    servers.open(value, |value| is_hex_of_u64(value) || value.starts_with(b"http://") || value.starts_with(b"https://"))
}

fn is_hex_of_u64(value: &[u8]) -> bool {
    (1..=16).contains(&value.len()) && is_hex(value, value.len())
}

/// FNV-1 with 64 bits, which multiplies before it adds (FNV-1a does it the other way round).
fn fnv1(text: &str) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    text.bytes().fold(BASIS, |hash, byte| hash.wrapping_mul(PRIME) ^ u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of};
    use super::super::{Carrier, FormatSpec};

    #[test]
    fn a_server_is_a_hash_of_its_url_or_the_url() {
        assert_read(
            &reader_of(&FormatSpec::Traefik, Carrier::Cookie, None),
            &[
                ("08d5f409490f61fc", "web-1 - - -"),
                ("5a1cc52f3f46040d", "web-1 - - -"),
                ("7d49894b220072d2", "web-1 - - -"),
                ("http://127.0.0.1:8081", "web-1 - - -"),
                ("8e526f3391889920", "web-2 - - -"),
                // Fifteen digits: there is no leading zero.
                ("dd62947a28ac257", "web-2 - - -"),
                ("http://[::1]:8081", "web-2 - - -"),
                ("0dd62947a28ac257", "stranger -"),
                ("http://127.0.0.1:8080", "stranger -"),
                ("08d5f409490f61fc0", "not mine"),
                ("127.0.0.1:8081", "not mine"),
                ("", "not mine"),
            ],
        );
    }
}
