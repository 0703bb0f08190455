//! The plain token: the server's id as it is, readable by everybody and made by anybody.
//!
//! It names a server and nothing else: no session, no stamps, so nothing about it can expire. Whether there is such a server
//! is not asked here.

use super::unopened::Unopened;
use crate::ids::ServerId;

/// The id in a plain token.
///
/// # Errors
/// [`Unopened::BadToken`] where the value cannot be any server's id.
pub fn open(text: &[u8]) -> Result<&str, Unopened> {
    let text = std::str::from_utf8(text).map_err(|_| Unopened::BadToken)?;
    ServerId::check(text).map_err(|_| Unopened::BadToken)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cannot_be_an_id_is_a_bad_token() {
        for text in [&b""[..], b"web 1", b"web;1", b"\xff", &[b'a'; 129]] {
            assert_eq!(open(text), Err(Unopened::BadToken), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_id_is_its_own_plain_token(text in "[a-zA-Z0-9._:-]{1,128}") {
            let id = ServerId::parse(&text).unwrap();
            prop_assert_eq!(open(id.as_str().as_bytes()), Ok(id.as_str()));
        }

        #[test]
        fn opening_is_total_on_any_bytes(text: Vec<u8>) {
            let _ = open(&text);
        }
    }
}
