//! ingress-nginx, `affinity-mode: persistent`: the MD5 of the backend and the server's address, a bar, and a second MD5 that
//! identifies the backend. The mode `balanced` uses a random number that only the controller's own ring can resolve, so it is
//! not supported.

use super::opened::Opened;
use super::servers::{Servers, is_hex, md5_hex};
use crate::session::server_ref::ServerRef;

pub(crate) fn names(server: &ServerRef<'_>, backend: &str) -> Vec<String> {
    let Some(address) = server.address else { return Vec::new() };
    let server = md5_hex(&format!("{backend}{address}"));
    let group = md5_hex(&format!("{}{backend}", md5_hex(backend)));
    vec![format!("{server}|{group}")]
}

pub(crate) fn open<'r, 'v>(servers: &'r Servers, value: &'v [u8]) -> Opened<'r, 'v> {
    servers.open(value, is_pair)
}

fn is_pair(value: &[u8]) -> bool {
    let mut parts = value.split(|&byte| byte == b'|');
    let mut is_hash = || parts.next().is_some_and(|part| is_hex(part, 32));
    is_hash() && is_hash() && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_read, reader_of};
    use super::super::{Carrier, FormatSpec};

    const BACKEND: &str = "5a881deec44117eee2efd3540198e203";

    #[test]
    fn a_server_is_two_hashes_with_the_backend_in_both() {
        let reader =
            reader_of(&FormatSpec::IngressNginx { backend: "default-http-svc-80".to_owned() }, Carrier::Cookie, None);
        for (value, expected) in [
            (format!("257c0b1160f0c97deb2c1f87fd1c8f9b|{BACKEND}"), "web-1 - - -"),
            (format!("dde53e84db83579bb0a53f5c150c664d|{BACKEND}"), "web-2 - - -"),
            (format!("257c0b1160f0c97deb2c1f87fd1c8f9b|{}", BACKEND.replace('5', "6")), "stranger -"),
            (format!("1767225600.123.45.678901|{BACKEND}"), "not mine"),
            ("257c0b1160f0c97deb2c1f87fd1c8f9b".to_owned(), "not mine"),
            (format!("257c0b1160f0c97deb2c1f87fd1c8f9b|{BACKEND}|"), "not mine"),
        ] {
            assert_read(&reader, &[(&value, expected)]);
        }
    }
}
