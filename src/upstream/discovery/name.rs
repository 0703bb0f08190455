//! Names to look up in DNS.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A DNS name: labels of letters, digits, `-` and `_` (for services), not case-sensitive. A name with a trailing dot is
/// absolute; for others the search list of `/etc/resolv.conf` applies, if that file is used.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(Arc<str>);

/// Why a text is not a valid DNS name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidDnsName {
    #[error("a name has at most 253 characters, and 1 to 63 between its dots")]
    Length,
    #[error("{0:?} is not allowed in a name: write international names in their ASCII form (xn--…)")]
    Character(char),
    #[error("the labels of a name do not start or end with '-'")]
    Hyphen,
    #[error("the last label of a name is not a number")]
    Number,
}

impl DnsName {
    /// Parses a name and converts it to lower case.
    ///
    /// # Errors
    /// [`InvalidDnsName`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidDnsName> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.len() > 253 {
            return Err(InvalidDnsName::Length);
        }
        bare.split('.').try_for_each(check_label)?;
        // As in URLs: this is a mistyped address.
        let last = bare.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidDnsName::Number);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for a Host header: without service labels (`_http._tcp.`) and trailing dot.
    pub fn host(&self) -> &str {
        let mut host = self.0.strip_suffix('.').unwrap_or(&self.0);
        while let Some((label, rest)) = host.split_once('.')
            && label.starts_with('_')
        {
            host = rest;
        }
        host
    }
}

fn check_label(label: &str) -> Result<(), InvalidDnsName> {
    if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
        return Err(InvalidDnsName::Character(c));
    }
    if label.is_empty() || label.len() > 63 {
        return Err(InvalidDnsName::Length);
    }
    if label.starts_with('-') || label.ends_with('-') { Err(InvalidDnsName::Hyphen) } else { Ok(()) }
}

impl TryFrom<String> for DnsName {
    type Error = InvalidDnsName;

    fn try_from(text: String) -> Result<Self, InvalidDnsName> {
        Self::parse(&text)
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_labels() {
        for right in ["app", "app.internal", "app.internal.", "_http._tcp.app.internal", "a-1.b2", "xn--bcher-kva.example"] {
            assert_eq!(DnsName::parse(right).unwrap().as_str(), right);
        }
        assert_eq!(DnsName::parse("App.Internal").unwrap().as_str(), "app.internal");
        let long = format!("{}.internal", "a".repeat(64));
        let longer = ["a".repeat(63).as_str(); 4].join(".");
        for wrong in ["", ".", "a..b", ".a", "-a.b", "a-.b", "a b", "bücher.example", "10.0.0.1", "a.1", &long, &longer] {
            assert!(DnsName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_the_name_without_its_service() {
        for (name, host) in [("_http._tcp.app.internal.", "app.internal"), ("app.internal", "app.internal"), ("_a", "_a")] {
            assert_eq!(DnsName::parse(name).unwrap().host(), host);
        }
    }
}
