//! A cookie's name, as the operator configures it.

use std::fmt;
use std::sync::Arc;

/// The longest name accepted, in characters. RFC 6265bis allows 4,096 for name and value together.
const MAX_NAME_LENGTH: usize = 128;

/// A cookie's name: a token (RFC 6265bis 4.1.1) of at most 128 characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CookieName(Arc<str>);

/// Why a text is not a valid cookie name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCookieName {
    #[error("a cookie's name must not be empty")]
    Empty,
    #[error("a cookie's name has at most {MAX_NAME_LENGTH} characters")]
    TooLong,
    #[error("{0:?} is not allowed in a cookie's name: it is made of letters, digits and any of !#$%&'*+-.^_`|~")]
    Character(char),
}

impl CookieName {
    /// Parses a name as the user wrote it.
    ///
    /// # Errors
    /// [`InvalidCookieName`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidCookieName> {
        if text.is_empty() {
            return Err(InvalidCookieName::Empty);
        }
        if let Some(bad) = text.chars().find(|&c| !is_token_character(c)) {
            return Err(InvalidCookieName::Character(bad));
        }
        if text.len() > MAX_NAME_LENGTH {
            return Err(InvalidCookieName::TooLong);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `tchar` of RFC 9110 5.6.2.
fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
