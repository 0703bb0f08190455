//! A secret of 32 bytes and its text form. Every copy made here is overwritten on drop.

use base64_simd::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// 32 secret bytes. The type that wraps it defines its debug output.
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

/// Why a text is not a key. It never contains any of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKey {
    #[error("expected 64 hexadecimal or 43 base64 characters, found {0}; `burdock keys new` generates a key")]
    Length(usize),
    #[error("a key of 64 characters must be hexadecimal (0-9, a-f); `burdock keys new` generates a key")]
    NotHex,
    #[error("a key of 43 characters must be base64 or base64url of 32 bytes; `burdock keys new` generates a key")]
    NotBase64,
}

impl Secret {
    /// Parses a secret from the text of its file: 64 hexadecimal characters, or base64 or base64url, with or without padding.
    /// Surrounding white space is ignored.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim().as_bytes();
        match text {
            [key @ .., b'='] if text.len() == 44 => from_base64(key),
            key if key.len() == 43 => from_base64(key),
            key if key.len() == 64 => from_hex(key),
            _ => Err(InvalidKey::Length(text.len())),
        }
    }

    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self(secret)
    }

    /// 43 characters of base64url. [`Secret::parse`] reads them.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        URL_SAFE_NO_PAD.encode_to_string(*self.0).into()
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn from_base64(text: &[u8]) -> Result<Secret, InvalidKey> {
    let standard: Zeroizing<Vec<u8>> = text
        .iter()
        .map(|&c| {
            if c == b'-' {
                b'+'
            } else if c == b'_' {
                b'/'
            } else {
                c
            }
        })
        .collect::<Vec<u8>>()
        .into();
    let bytes = Zeroizing::new(STANDARD_NO_PAD.decode_to_vec(&*standard).map_err(|_| InvalidKey::NotBase64)?);
    let mut secret = Zeroizing::new([0; 32]);
    if bytes.len() != secret.len() {
        return Err(InvalidKey::NotBase64);
    }
    secret.copy_from_slice(&bytes);
    Ok(Secret(secret))
}

fn from_hex(text: &[u8]) -> Result<Secret, InvalidKey> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut secret = Zeroizing::new([0; 32]);
    for (byte, pair) in secret.iter_mut().zip(text.chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
            return Err(InvalidKey::NotHex);
        };
        *byte = high << 4 | low;
    }
    Ok(Secret(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

    fn rejected(text: &str) -> InvalidKey {
        Secret::parse(text).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_key_is_hex_base64_or_base64url_with_surrounding_white_space() {
        let key = Secret::parse(HEX).ok().unwrap();
        for text in [
            HEX.to_uppercase(),
            format!("  {HEX}\r\n"),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8".to_owned(),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8=\n".to_owned(),
        ] {
            assert_eq!(Secret::parse(&text).ok().unwrap().0, key.0, "{text:?}");
        }
        let both = ["--__".repeat(10) + "__8", "++//".repeat(10) + "//8="];
        assert_eq!(Secret::parse(&both[0]).ok().unwrap().0, Secret::parse(&both[1]).ok().unwrap().0);
    }

    #[test]
    fn an_invalid_key_is_rejected_with_a_reason() {
        assert_eq!(rejected(""), InvalidKey::Length(0));
        assert_eq!(rejected(&HEX[1..]), InvalidKey::Length(63));
        assert_eq!(rejected(&HEX.replace('a', "g")), InvalidKey::NotHex);
        assert_eq!(rejected(&"!".repeat(43)), InvalidKey::NotBase64);
        assert_eq!(rejected(&("A".repeat(42) + "B")), InvalidKey::NotBase64, "stray bits at the end");
        assert_eq!(rejected(&"A".repeat(44)), InvalidKey::Length(44));
    }

    proptest! {
        #[test]
        fn a_key_survives_its_text_form(bytes: [u8; 32]) {
            let text = Secret(bytes.into()).to_text();
            prop_assert_eq!(text.len(), 43);
            prop_assert_eq!(Secret::parse(&text).ok().unwrap().0, Zeroizing::new(bytes));
        }

        #[test]
        fn any_text_is_a_key_or_an_error(text: String) {
            let _ = Secret::parse(&text);
        }
    }
}
