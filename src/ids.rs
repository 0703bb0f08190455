//! The names that identify upstreams and servers. Identity is a configured name, never a position, a weight or (unless the
//! user wrote no other) an address.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a group of servers: letters, digits, `_`, `-` and `.`, at most 64 of them, so that it can stand in a cookie's
/// name, a log line and a metric label as it is.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamName(Arc<str>);

/// The name of a server within its upstream. The short form of a server has its address for a name, so every octet that a
/// cookie's value may hold (RFC 6265 `cookie-octet`) is allowed; at most 128 of them.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerId(Arc<str>);

/// Why a text is not a name.
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

/// In JSON a name is its text, and only a text that is a name.
macro_rules! in_text {
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

in_text!(UpstreamName, ServerId);

impl UpstreamName {
    /// Takes a name as the user wrote it.
    ///
    /// # Errors
    /// [`InvalidName`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        check(text, 64, allowed).map_err(|bad| bad.unwrap_or_else(InvalidName::UpstreamCharacter))?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ServerId {
    /// Takes an id as the user wrote it.
    ///
    /// # Errors
    /// [`InvalidName`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// Whether a text could be an id.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn check(text: &str) -> Result<(), InvalidName> {
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\');
        check(text, 128, allowed).map_err(|bad| bad.unwrap_or_else(InvalidName::ServerCharacter))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first thing wrong with a name: its length, or a character that the caller knows how to speak of.
enum Wrong {
    Length(InvalidName),
    Character(char),
}

impl Wrong {
    fn unwrap_or_else(self, character: impl Fn(char) -> InvalidName) -> InvalidName {
        match self {
            Self::Length(error) => error,
            Self::Character(c) => character(c),
        }
    }
}

fn check(text: &str, longest: usize, allowed: impl Fn(char) -> bool) -> Result<(), Wrong> {
    if text.is_empty() {
        return Err(Wrong::Length(InvalidName::Empty));
    }
    if text.len() > longest {
        return Err(Wrong::Length(InvalidName::TooLong(longest)));
    }
    text.chars().find(|&c| !allowed(c)).map_or(Ok(()), |c| Err(Wrong::Character(c)))
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
