//! The sealed token, version 1: what a client carries without being able to make, change or read it.
//!
//! 57 bytes, always 76 characters of base64url without padding:
//!
//! ```text
//! version 1 | key id 4 | nonce 12 | AES-256-GCM-SIV( server tag 8 | session number 8 | issued 4 | seen 4 ) | tag 16
//! ```
//!
//! Numbers are big-endian. The associated data binds a token to its place; lengths in it are 8 bytes:
//! `burdock token v1` ‖ 0x00 ‖ kind (`c`, `h`, `e`) ‖ length of scope ‖ scope ‖ length of entry ‖ entry.
//! Version and key id are not in it: another version does not open at all, another id finds another key or none.
//!
//! GCM-SIV, because balancers share a key and draw nonces at random: with plain GCM one collision would allow forgery,
//! here it only reveals that two tokens are equal. Opening is total on any bytes, allocates nothing and decrypts at most once.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use aws_lc_rs::aead::{Aad, Nonce};
use base64_simd::{AsOut, URL_SAFE_NO_PAD};
use rand_core::CryptoRng;

use super::keys::KeyRing;
use super::open_error::OpenError;
use super::payload::{PAYLOAD, Payload};

const VERSION: u8 = 1;
const NONCE: usize = 12;
/// Version, key id and nonce.
const HEAD: usize = 1 + 4 + NONCE;
const BYTES: usize = HEAD + PAYLOAD + 16;
/// Characters of a token.
pub const CHARACTERS: usize = 76;

/// What carries a token. A token made for a cookie does not open as a header.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    Cookie,
    Header,
    /// Around an application's own session id.
    Envelope,
}

/// The only place where a token is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Context<'a> {
    pub kind: Kind,
    /// The upstream's name, or its `sticky_scope`.
    pub scope: &'a str,
    /// The cookie's or header's name.
    pub entry: &'a str,
}

/// Seals and opens the tokens of one persistence method.
#[derive(Debug)]
pub struct SealedFormat {
    keys: Arc<KeyRing>,
    associated: Box<[u8]>,
}

/// A token's text, on the stack. A token is its client's secret, so `Debug` hides it.
#[derive(Clone, Copy)]
pub struct TokenText([u8; CHARACTERS]);

impl SealedFormat {
    pub fn new(keys: Arc<KeyRing>, context: Context<'_>) -> Self {
        Self { keys, associated: context.associated_data() }
    }

    /// Makes a token with `payload`, sealed with the ring's first key.
    pub fn seal(&self, payload: &Payload, rng: &mut impl CryptoRng) -> TokenText {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        self.seal_with(nonce, payload)
    }

    /// Opens a token. The caller, which knows the time, checks whether it has expired.
    ///
    /// # Errors
    /// [`OpenError::UnknownKey`] if it may be a token of another key, [`OpenError::BadToken`] otherwise.
    pub fn open(&self, text: &[u8]) -> Result<Payload, OpenError> {
        let mut token = decode(text).ok_or(OpenError::BadToken)?;
        let (head, sealed) = token.split_first_chunk_mut::<HEAD>().ok_or(OpenError::BadToken)?;
        let [VERSION, id_0, id_1, id_2, id_3, nonce @ ..] = *head else {
            return Err(OpenError::BadToken);
        };
        let key = self.keys.find([id_0, id_1, id_2, id_3]).ok_or(OpenError::UnknownKey)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let payload = key.aead.open_in_place(nonce, Aad::from(&self.associated), sealed).map_err(|_| OpenError::BadToken)?;
        let payload = payload.first_chunk().ok_or(OpenError::BadToken)?;
        Ok(Payload::from_bytes(*payload))
    }

    #[expect(clippy::expect_used, reason = "lengths and key fit by construction, independent of any input")]
    fn seal_with(&self, nonce: [u8; NONCE], payload: &Payload) -> TokenText {
        let key = self.keys.sealing();
        let mut token = [0; BYTES];
        token[0] = VERSION;
        token[1..5].copy_from_slice(&key.id.bytes());
        token[5..HEAD].copy_from_slice(&nonce);
        let (plaintext, tag) = token[HEAD..].split_at_mut(PAYLOAD);
        plaintext.copy_from_slice(&payload.to_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.aead
            .seal_in_place_scatter(nonce, Aad::from(&self.associated), plaintext, &[], tag)
            .expect("24 bytes are within the limits of the AEAD");
        let mut text = [0; CHARACTERS];
        let _ = URL_SAFE_NO_PAD.encode(&token, text.as_mut_slice().as_out());
        TokenText(text)
    }
}

impl Context<'_> {
    fn associated_data(&self) -> Box<[u8]> {
        let kind = match self.kind {
            Kind::Cookie => b"c",
            Kind::Header => b"h",
            Kind::Envelope => b"e",
        };
        let length = |text: &str| (text.len() as u64).to_be_bytes();
        let (scope, entry) = (length(self.scope), length(self.entry));
        [b"burdock token v1\0", &kind[..], &scope, self.scope.as_bytes(), &entry, self.entry.as_bytes()].concat().into()
    }
}

/// Whether this has the form of a sealed token, of any key and place.
pub fn looks_sealed(text: &[u8]) -> bool {
    decode(text).is_some_and(|token| token[0] == VERSION)
}

/// Each token has exactly one text: 57 bytes leave no spare bits in 76 characters, and padding is not in the alphabet.
fn decode(text: &[u8]) -> Option<[u8; BYTES]> {
    if text.len() != CHARACTERS {
        return None;
    }
    let mut token = [0; BYTES];
    let written = URL_SAFE_NO_PAD.decode(text, token.as_mut_slice().as_out()).ok()?.len();
    (written == BYTES).then_some(token)
}

impl Deref for TokenText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Key;
    use super::*;
    use crate::ids::ServerId;
    use crate::session::number::SessionNumber;
    use crate::session::server_tag::ServerTag;
    use crate::session::stamps::Stamps;
    use crate::time::UnixSeconds;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const COOKIE: Context<'_> = Context { kind: Kind::Cookie, scope: "shop", entry: "BURDOCK_shop" };
    const FIRST: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const SECOND: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn format(keys: &[&str], context: Context<'_>) -> SealedFormat {
        let keys = keys.iter().map(|key| Key::parse(key).unwrap()).collect();
        SealedFormat::new(Arc::new(KeyRing::new(keys).unwrap()), context)
    }

    fn payload() -> Payload {
        Payload {
            server: ServerTag::of("shop", &ServerId::parse("web-1").unwrap()),
            session: SessionNumber(0x0123_4567_89ab_cdef),
            stamps: Stamps { issued: UnixSeconds(1_767_225_600), seen: UnixSeconds(1_767_229_200) },
        }
    }

    fn sealed() -> TokenText {
        format(&[FIRST], COOKIE).seal(&payload(), &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn the_sealed_format_is_stable() {
        let token = format(&[FIRST], COOKIE).seal_with(*b"twelve bytes", &payload());
        // Made with Python: hashlib, hmac and cryptography's AESGCMSIV.
        assert_eq!(&*token, "AeX3sNJ0d2VsdmUgYnl0ZXNVRyOr10ms3nCEeop02xL1wbEBwIhI0mgAavKEOYbgGyDg0WmsyrG5");
    }

    #[test]
    fn a_token_of_another_kind_scope_or_entry_does_not_open() {
        for other in [
            Context { kind: Kind::Header, ..COOKIE },
            Context { kind: Kind::Envelope, ..COOKIE },
            Context { scope: "blog", ..COOKIE },
            Context { entry: "BURDOCK_blog", ..COOKIE },
            Context { scope: "shopB", entry: "URDOCK_shop", ..COOKIE },
        ] {
            assert_eq!(format(&[FIRST], other).open(sealed().as_bytes()), Err(OpenError::BadToken), "{other:?}");
        }
    }

    #[test]
    fn after_rotation_the_old_key_opens_and_the_first_seals() {
        let rotated = format(&[SECOND, FIRST], COOKIE);
        assert_eq!(rotated.open(sealed().as_bytes()), Ok(payload()));
        let renewed = rotated.seal(&payload(), &mut StdRng::seed_from_u64(2));
        assert_eq!(format(&[SECOND], COOKIE).open(renewed.as_bytes()), Ok(payload()));
    }

    #[test]
    fn a_dropped_key_is_unknown() {
        assert_eq!(format(&[SECOND], COOKIE).open(sealed().as_bytes()), Err(OpenError::UnknownKey));
    }

    #[test]
    fn a_token_with_any_flipped_bit_is_rejected() {
        let (format, token) = (format(&[FIRST, SECOND], COOKIE), sealed());
        for bit in 0..CHARACTERS * 8 {
            let mut changed = token.0;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(format.open(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_token_of_a_different_length_or_alphabet_is_bad() {
        let (format, token) = (format(&[FIRST], COOKIE), sealed());
        let standard = token.replacen(char::is_alphanumeric, "+", 1);
        let padded = format!("{}==", &token[..74]);
        for text in ["", &token[..75], &format!("{}A", &*token), &standard, &padded] {
            assert_eq!(format.open(text.as_bytes()), Err(OpenError::BadToken), "{text:?}");
        }
    }

    #[test]
    fn a_token_of_another_version_is_bad() {
        let mut token = decode(sealed().as_bytes()).unwrap();
        token[0] = 2;
        let text = URL_SAFE_NO_PAD.encode_to_string(token);
        assert_eq!(format(&[FIRST], COOKIE).open(text.as_bytes()), Err(OpenError::BadToken));
    }

    /// Uses few letters, so that two contexts are often equal, or differ only in where a part ends.
    fn any_context() -> impl Strategy<Value = (Kind, String, String)> {
        let kind = prop::sample::select(vec![Kind::Cookie, Kind::Header, Kind::Envelope]);
        (kind, "[ac]{0,2}", "[ac]{0,2}")
    }

    proptest! {
        #[test]
        fn a_sealed_token_opens_to_its_payload(seed: [u8; 32], server: [u8; 8], session: u64, issued: u32, seen: u32) {
            let stamps = Stamps { issued: UnixSeconds(issued), seen: UnixSeconds(seen) };
            let payload = Payload { server: ServerTag::from_bytes(server), session: SessionNumber(session), stamps };
            let format = format(&[FIRST], COOKIE);
            let token = format.seal(&payload, &mut StdRng::from_seed(seed));
            prop_assert_eq!(token.len(), CHARACTERS);
            prop_assert_eq!(format.open(token.as_bytes()), Ok(payload));
        }

        #[test]
        fn a_token_with_any_changed_byte_is_rejected(at in 0..CHARACTERS, byte: u8) {
            let mut changed = sealed().0;
            prop_assume!(changed[at] != byte);
            changed[at] = byte;
            prop_assert!(format(&[FIRST, SECOND], COOKIE).open(&changed).is_err());
        }

        #[test]
        fn a_token_opens_only_in_its_own_context(
            one in any_context(), other in any_context(), key in prop::sample::select(vec![FIRST, SECOND])
        ) {
            let context = |(kind, scope, entry): &(Kind, String, String)| format(&[key], Context { kind: *kind, scope, entry });
            let token = context(&one).seal(&payload(), &mut StdRng::seed_from_u64(3));
            let opened = context(&other).open(token.as_bytes());
            prop_assert_eq!(opened, if one == other { Ok(payload()) } else { Err(OpenError::BadToken) });
        }

        #[test]
        fn opening_is_total_on_any_bytes(text: Vec<u8>, right_length in proptest::collection::vec(any::<u8>(), CHARACTERS)) {
            let format = format(&[FIRST], COOKIE);
            prop_assert!(format.open(&text).is_err());
            prop_assert!(format.open(&right_length).is_err());
        }

        #[test]
        fn opening_is_total_on_any_57_bytes(bytes in proptest::collection::vec(any::<u8>(), BYTES), ours: bool) {
            let mut bytes = bytes;
            if ours {
                bytes[..5].copy_from_slice(&decode(sealed().as_bytes()).unwrap()[..5]);
            }
            let text = URL_SAFE_NO_PAD.encode_to_string(bytes);
            prop_assert!(format(&[FIRST], COOKIE).open(text.as_bytes()).is_err());
        }
    }
}
