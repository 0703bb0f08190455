//! A cookie's attributes: their values, parsed once, and their text.

use std::fmt::Write;

use super::{CookieDomain, ExtraAttribute};
use crate::http::Scheme;

/// The longest attribute value that browsers accept, in bytes (RFC 6265bis 5.6).
pub(super) const MAX_LENGTH: usize = 1024;

/// All attributes that follow a cookie's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attributes {
    /// None: no attribute. The browser then uses the directory of the request's path (RFC 6265bis 5.1.4).
    pub path: Option<CookiePath>,
    /// A host gets the [`narrowest`](super::narrowest) that covers it. If none does, the cookie goes only to the host
    /// that set it.
    pub domains: Vec<CookieDomain>,
    pub http_only: HttpOnly,
    pub secure: Secure,
    pub same_site: SameSite,
    pub partitioned: Partitioned,
    /// Seconds. None: until the browser closes.
    pub max_age: Option<u32>,
    /// In the order written, after all others.
    pub extra: Vec<ExtraAttribute>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            path: Some(CookiePath("/".into())),
            domains: Vec::new(),
            http_only: HttpOnly::On,
            secure: Secure::Auto,
            same_site: SameSite::Auto,
            partitioned: Partitioned::Off,
            max_age: None,
            extra: Vec::new(),
        }
    }
}

impl Attributes {
    /// Its fields by their names in the configuration, each with whether it is the same in `other`.
    pub(crate) fn compare(&self, other: &Self) -> [(&'static str, bool); 8] {
        // Destructured so that no new field is forgotten.
        let Self { path, domains, http_only, secure, same_site, partitioned, max_age, extra } = self;
        [
            ("path", *path == other.path),
            ("domain", *domains == other.domains),
            ("http_only", *http_only == other.http_only),
            ("secure", *secure == other.secure),
            ("same_site", *same_site == other.same_site),
            ("partitioned", *partitioned == other.partitioned),
            ("attributes", *extra == other.extra),
            ("max_age", *max_age == other.max_age),
        ]
    }

    /// The attributes for a client that uses `scheme`, with this domain, including the first `;`.
    pub(super) fn text(&self, scheme: Scheme, domain: Option<&CookieDomain>) -> String {
        let mut text = String::new();
        if let Some(path) = &self.path {
            text.extend(["; Path=", path.as_str()]);
        }
        if let Some(domain) = domain {
            text.extend(["; Domain=", domain.as_str()]);
        }
        if let Some(seconds) = self.max_age {
            let _ = write!(text, "; Max-Age={seconds}");
        }
        let secure = self.secure.on(scheme);
        if secure {
            text.push_str("; Secure");
        }
        text.push_str(match self.http_only {
            HttpOnly::On => "; HttpOnly",
            HttpOnly::Off => "",
        });
        text.push_str(match self.same_site {
            SameSite::Auto if secure => "; SameSite=None",
            SameSite::Auto | SameSite::Omit => "",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        text.push_str(match self.partitioned {
            Partitioned::On => "; Partitioned",
            Partitioned::Off => "",
        });
        text.extend(self.extra.iter().flat_map(|extra| ["; ", extra.as_str()]));
        text
    }
}

/// Whether browsers send a cookie with requests that another site starts (RFC 6265bis 5.6.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameSite {
    /// `None` on a Secure cookie, otherwise no attribute: logins and payments return by a cross-site POST and must
    /// reach the server that started them.
    Auto,
    Strict,
    Lax,
    None,
    /// No attribute: the browser's own default.
    Omit,
}

/// Whether the cookie is hidden from scripts in the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HttpOnly {
    On,
    Off,
}

/// Whether each site that embeds this one gets its own cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Partitioned {
    On,
    Off,
}

/// Whether the cookie goes over TLS only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Secure {
    /// If the client uses TLS.
    Auto,
    Always,
    Never,
}

impl Secure {
    /// Whether a cookie for a client that uses `scheme` is marked Secure.
    pub fn on(self, scheme: Scheme) -> bool {
        match (self, scheme) {
            (Self::Always, _) | (Self::Auto, Scheme::Https) => true,
            (Self::Never, _) | (Self::Auto, Scheme::Http) => false,
        }
    }
}

/// The path that a cookie is sent to, together with all paths below.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookiePath(Box<str>);

/// Why a text is not a valid cookie path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCookiePath {
    #[error("a cookie's path must start with '/'")]
    NoSlash,
    #[error("a cookie's path has at most {MAX_LENGTH} characters")]
    TooLong,
    #[error("{0:?} is not allowed in a cookie's path (printable ASCII without ';')")]
    Character(char),
}

impl CookiePath {
    /// Parses a path as the user wrote it.
    ///
    /// # Errors
    /// [`InvalidCookiePath`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidCookiePath> {
        if !text.starts_with('/') {
            return Err(InvalidCookiePath::NoSlash);
        }
        if let Some(bad) = text.chars().find(|&c| !is_attribute_character(c)) {
            return Err(InvalidCookiePath::Character(bad));
        }
        if text.len() > MAX_LENGTH {
            return Err(InvalidCookiePath::TooLong);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `av-octet` of RFC 6265bis 4.1.1.
pub(super) fn is_attribute_character(c: char) -> bool {
    c != ';' && (c == ' ' || c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_starts_with_a_slash_and_cannot_add_attributes() {
        assert_eq!(CookiePath::parse("/shop/a b").unwrap().as_str(), "/shop/a b");
        assert_eq!(CookiePath::parse("shop"), Err(InvalidCookiePath::NoSlash));
        assert_eq!(CookiePath::parse(""), Err(InvalidCookiePath::NoSlash));
        assert_eq!(CookiePath::parse("/; Domain=x"), Err(InvalidCookiePath::Character(';')));
        assert_eq!(CookiePath::parse("/\n"), Err(InvalidCookiePath::Character('\n')));
        assert_eq!(CookiePath::parse(&"/".repeat(1025)), Err(InvalidCookiePath::TooLong));
    }
}
