//! The names that identify upstreams and servers. A server is identified by a configured name, never by its position or
//! weight, and by its address only if the user gave no other name.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a group of servers: letters, digits, `_`, `-` and `.`, at most 64 of them, so that a cookie's name, a
/// log line and a metric label can contain it unchanged.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamName(Arc<str>);

/// The name of a server within its upstream. In the short form of a server its address is its name, so every byte that
/// a cookie's value may contain (RFC 6265 `cookie-octet`) is allowed. At most 128 bytes.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerId(Arc<str>);

/// Why a text is not a valid name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidName {
    #[error("a name must not be empty")]
    Empty,
    #[error("a name has at most {0} characters")]
    TooLong(usize),
    #[error("{0:?} is not allowed here: an upstream's name is made of letters, digits, '_', '-' and '.'")]
    UpstreamCharacter(char),
    #[error("{0:?} is not allowed in a server's id (no spaces, quotes, commas, semicolons or backslashes, ASCII only)")]
    ServerCharacter(char),
}

/// In JSON a name is a string, and only a valid name is accepted.
macro_rules! string_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }
    )*};
}

string_conversions!(UpstreamName, ServerId);

impl UpstreamName {
    /// Parses a name as the user wrote it.
    ///
    /// # Errors
    /// [`InvalidName`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        check(text, 64, allowed).map_err(|violation| violation.into_error(InvalidName::UpstreamCharacter))?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ServerId {
    /// Parses an id as the user wrote it.
    ///
    /// # Errors
    /// [`InvalidName`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// Whether a text is a valid id.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn check(text: &str) -> Result<(), InvalidName> {
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\');
        check(text, 128, allowed).map_err(|violation| violation.into_error(InvalidName::ServerCharacter))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first thing that is wrong with a name: its length, or a character, for which the caller has the error.
enum Violation {
    Length(InvalidName),
    Character(char),
}

impl Violation {
    fn into_error(self, character: impl Fn(char) -> InvalidName) -> InvalidName {
        match self {
            Self::Length(error) => error,
            Self::Character(c) => character(c),
        }
    }
}

fn check(text: &str, max_length: usize, allowed: impl Fn(char) -> bool) -> Result<(), Violation> {
    if text.is_empty() {
        return Err(Violation::Length(InvalidName::Empty));
    }
    if text.len() > max_length {
        return Err(Violation::Length(InvalidName::TooLong(max_length)));
    }
    text.chars().find(|&c| !allowed(c)).map_or(Ok(()), |c| Err(Violation::Character(c)))
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
