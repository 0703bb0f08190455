//! Which protocols a request may change to (RFC 9110 7.8).

use super::fields::elements;

/// The protocols that a listener passes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AllowedUpgrades {
    Any,
    /// Their names, in lower case, without versions.
    Named(Vec<String>),
}

impl Default for AllowedUpgrades {
    fn default() -> Self {
        Self::Named(vec!["websocket".to_owned()])
    }
}

impl AllowedUpgrades {
    /// The protocols of an Upgrade line that are passed on.
    pub fn of<'b>(&self, value: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        elements(value).filter(|protocol| self.allow(protocol))
    }

    /// `h2c` is never passed on: what follows it could not be read (RFC 9113 3.1).
    fn allow(&self, protocol: &[u8]) -> bool {
        let name = protocol.split(|&byte| byte == b'/').next().unwrap_or_default();
        match self {
            Self::Any => !name.eq_ignore_ascii_case(b"h2c"),
            Self::Named(names) => names.iter().any(|allowed| name.eq_ignore_ascii_case(allowed.as_bytes())),
        }
    }
}
