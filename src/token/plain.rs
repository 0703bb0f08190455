//! The plain token: the server's id itself. Anyone can read it, and anyone can make one.
//!
//! It names a server and nothing else: it has no session and no stamps, so it cannot expire. This module does not check whether
//! the server exists.

use super::open_error::OpenError;
use crate::ids::ServerId;

/// The id in a plain token.
///
/// # Errors
/// [`OpenError::BadToken`] where the value cannot be any server's id.
pub fn open(text: &[u8]) -> Result<&str, OpenError> {
    let text = std::str::from_utf8(text).map_err(|_| OpenError::BadToken)?;
    ServerId::check(text).map_err(|_| OpenError::BadToken)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_invalid_server_id_is_a_bad_token() {
        for text in [&b""[..], b"web 1", b"web;1", b"\xff", &[b'a'; 129]] {
            assert_eq!(open(text), Err(OpenError::BadToken), "{text:?}");
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
