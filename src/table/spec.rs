//! A session table as configured: values only.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::session::lifetime::Lifetime;

/// What a table is made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableSpec {
    pub name: TableName,
    /// The number of live sessions that fit, with fewer than 1 in 10,000 evicted early. The table holds slightly more.
    pub capacity: NonZeroU32,
    pub lifetime: Lifetime,
    pub persist: Persist,
}

/// Whether a table is stored on disk.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Persist {
    #[default]
    On,
    Off,
}

/// A table's name: 1 to 64 letters, digits, `_`, `-` and `.`, not beginning with a dot, so that it can be used in a file name and
/// a metric's label unchanged.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TableName(Arc<str>);

/// Why a text is not the name of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a table's name is 1 to 64 letters, digits, '_', '-' and '.', and does not begin with a '.'")]
pub struct InvalidTableName;

impl TableName {
    /// Parses a configured name.
    ///
    /// # Errors
    /// [`InvalidTableName`] if the length or a character is not allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidTableName> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('.');
        if valid { Ok(Self(text.into())) } else { Err(InvalidTableName) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_is_safe_in_a_file_name() {
        assert_eq!(TableName::parse("shop.sessions-1").unwrap().as_str(), "shop.sessions-1");
        for text in ["", "..", ".hidden", "a/b", "a b", "é", &"a".repeat(65)] {
            assert_eq!(TableName::parse(text), Err(InvalidTableName), "{text}");
        }
    }
}
