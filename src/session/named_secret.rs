//! Secret keys of other proxies' tokens: where a secret is found and its value, not how it is read.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// Where a secret is found. The configuration itself never holds secrets.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SecretSource {
    File(PathBuf),
    Env(String),
}

/// Secret bytes. `Debug` hides them, and they are overwritten on drop.
#[derive(Clone, Eq, PartialEq)]
pub struct NamedSecret(Zeroizing<Box<[u8]>>);

impl NamedSecret {
    /// Takes the content of a secret's file, without one trailing line end.
    pub fn from_text(text: &[u8]) -> Self {
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        Self(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).into()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NamedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamedSecret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_text_without_one_trailing_line_end() {
        for (text, secret) in [
            (&b"a key"[..], &b"a key"[..]),
            (b"a key\n", b"a key"),
            (b"a key\r\n", b"a key"),
            (b" a key \n\n", b" a key \n"),
            (b"\xff\0", b"\xff\0"),
            (b"\n", b""),
        ] {
            assert_eq!(NamedSecret::from_text(text).bytes(), secret, "{text:?}");
        }
    }

    #[test]
    fn debug_output_hides_a_named_secret() {
        assert_eq!(format!("{:?}", NamedSecret::from_text(b"hunter2")), "NamedSecret(hidden)");
    }
}
