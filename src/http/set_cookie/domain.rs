//! The Domain attribute: which hosts get a cookie, and which of several domains applies to a host.

use std::net::IpAddr;

use crate::http::host;

/// A host name: this host and all hosts below get the cookie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieDomain(Box<str>);

/// Why a text is not a valid cookie domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCookieDomain {
    #[error("a cookie's domain must not be empty: omit it for a cookie of this host only")]
    Empty,
    #[error("a cookie's domain is a host name, not an address: omit it for a cookie of this host only")]
    Address,
    #[error("{0:?} is not allowed in a cookie's domain (letters, digits, '-' and '.'; write international names as xn--…)")]
    Character(char),
    #[error("a cookie's domain has at most 253 characters, and 1 to 63 between its dots")]
    Length,
}

impl CookieDomain {
    /// Parses a domain as the user wrote it. A leading dot has no meaning (RFC 6265bis 5.6.3) and is dropped.
    ///
    /// # Errors
    /// [`InvalidCookieDomain`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidCookieDomain> {
        let name = text.strip_prefix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(InvalidCookieDomain::Empty);
        }
        // Browsers treat every host whose last label is a number as an address, and no address is below a domain.
        let digits = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit());
        let number = name.rsplit('.').next().is_some_and(digits);
        if number || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(InvalidCookieDomain::Address);
        }
        if let Some(bad) = name.chars().find(|&c| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')) {
            return Err(InvalidCookieDomain::Character(bad));
        }
        if name.len() > 253 || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
            return Err(InvalidCookieDomain::Length);
        }
        Ok(Self(name.into()))
    }

    /// Without a leading dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` is the domain or below it, in any case (RFC 6265bis 5.1.3).
    fn covers(&self, name: &str) -> bool {
        let Some((above, end)) = name.len().checked_sub(self.0.len()).and_then(|at| name.split_at_checked(at)) else {
            return false;
        };
        end.eq_ignore_ascii_case(&self.0) && (above.is_empty() || above.ends_with('.'))
    }
}

/// The position of the longest domain that covers a host. `host` is as sent, with or without a port.
pub fn narrowest(domains: &[CookieDomain], host: &str) -> Option<usize> {
    let name = host::name(host);
    let covering = domains.iter().enumerate().filter(|(_, domain)| domain.covers(name));
    covering.max_by_key(|(_, domain)| domain.0.len()).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_host_name_without_its_leading_dot() {
        assert_eq!(CookieDomain::parse(".Example.com").unwrap().as_str(), "Example.com");
        assert_eq!(CookieDomain::parse("."), Err(InvalidCookieDomain::Empty));
        assert_eq!(CookieDomain::parse("a..b"), Err(InvalidCookieDomain::Length));
        assert_eq!(CookieDomain::parse("a."), Err(InvalidCookieDomain::Length));
        assert_eq!(CookieDomain::parse("exämple.com"), Err(InvalidCookieDomain::Character('ä')));
        assert_eq!(CookieDomain::parse("example.com:80"), Err(InvalidCookieDomain::Character(':')));
        for address in ["10.0.0.1", "::1", "[::1]", "0.1", "example.1"] {
            assert_eq!(CookieDomain::parse(address), Err(InvalidCookieDomain::Address));
        }
    }
}
