//! Which protocols a request may change to (RFC 9110 7.8).

use super::fields::elements;

/// The protocols that a listener passes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AllowedUpgrades(Vec<AllowedUpgrade>);

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AllowedUpgrade {
    Any,
    /// Its name, in lower case, without a version.
    Named(String),
}

impl Default for AllowedUpgrades {
    fn default() -> Self {
        Self(vec![AllowedUpgrade::Named("websocket".to_owned())])
    }
}

impl AllowedUpgrades {
    pub fn new(allowed: Vec<AllowedUpgrade>) -> Self {
        Self(allowed)
    }

    /// The protocols of an Upgrade line that are passed on.
    pub fn of<'b>(&self, value: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        elements(value).filter(|protocol| self.allow(protocol))
    }

    /// `h2c` is never passed on: what follows it could not be read (RFC 9113 3.1).
    fn allow(&self, protocol: &[u8]) -> bool {
        let name = protocol.split(|&byte| byte == b'/').next().unwrap_or_default();
        self.0.iter().any(|allowed| match allowed {
            AllowedUpgrade::Any => !name.eq_ignore_ascii_case(b"h2c"),
            AllowedUpgrade::Named(allowed) => name.eq_ignore_ascii_case(allowed.as_bytes()),
        })
    }
}
