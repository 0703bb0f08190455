//! The Set-Cookie header of responses: a template built once for each cookie, and the rules that its attributes must keep
//! (RFC 6265bis) so that a browser takes it.
//!
//! Only Max-Age is ever written, never Expires: a browser that knows both takes Max-Age, and a wrong clock cannot spoil it.
//! Which value goes out, and when, is decided elsewhere.

mod attributes;
mod rules;

pub use attributes::{
    Attributes, CookieDomain, CookiePath, HttpOnly, InvalidCookieDomain, InvalidCookiePath, Partitioned, SameSite, Secure,
};
pub use rules::{BrokenRule, broken_rules};

use ::http::HeaderValue;

use super::{CookieName, Scheme};

/// A Set-Cookie header that lacks only its value.
#[derive(Clone, Debug)]
pub struct SetCookie {
    name: CookieName,
    attributes_over_http: Box<str>,
    attributes_over_https: Box<str>,
}

impl SetCookie {
    pub fn new(name: CookieName, attributes: &Attributes) -> Self {
        Self {
            attributes_over_http: attributes.text(Scheme::Http).into(),
            attributes_over_https: attributes.text(Scheme::Https).into(),
            name,
        }
    }

    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// The header for a client that came by `scheme`. None where the value holds what a cookie's value cannot (RFC 6265bis
    /// `cookie-octet`); tokens and server ids never do.
    pub fn render(&self, value: &str, scheme: Scheme) -> Option<HeaderValue> {
        if !value.bytes().all(is_cookie_octet) {
            return None;
        }
        let attributes = match scheme {
            Scheme::Http => &self.attributes_over_http,
            Scheme::Https => &self.attributes_over_https,
        };
        let name = self.name.as_str();
        let mut header = Vec::with_capacity(name.len() + 1 + value.len() + attributes.len());
        header.extend_from_slice(name.as_bytes());
        header.push(b'=');
        header.extend_from_slice(value.as_bytes());
        header.extend_from_slice(attributes.as_bytes());
        HeaderValue::try_from(header).ok()
    }
}

fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// The name of the cookie that a Set-Cookie header sets. None for one without a name.
pub fn name_of(value: &HeaderValue) -> Option<&[u8]> {
    let pair = value.as_bytes().split(|&byte| byte == b';').next()?;
    let end = pair.iter().position(|&byte| byte == b'=')?;
    let name = pair[..end].trim_ascii();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(attributes: &Attributes, scheme: Scheme) -> String {
        let header = SetCookie::new(CookieName::parse("B").unwrap(), attributes).render("v", scheme).unwrap();
        header.to_str().unwrap().to_owned()
    }

    #[test]
    fn unset_means_the_safe_choice() {
        assert_eq!(rendered(&Attributes::default(), Scheme::Http), "B=v; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(rendered(&Attributes::default(), Scheme::Https), "B=v; Path=/; Secure; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn every_attribute_is_written_as_set() {
        let all = Attributes {
            path: CookiePath::parse("/shop").unwrap(),
            domain: Some(CookieDomain::parse(".example.com").unwrap()),
            http_only: HttpOnly::Off,
            secure: Secure::Always,
            same_site: SameSite::None,
            partitioned: Partitioned::On,
            max_age: Some(3600),
        };
        let expected = "B=v; Path=/shop; Domain=example.com; Max-Age=3600; Secure; SameSite=None; Partitioned";
        assert_eq!(rendered(&all, Scheme::Http), expected);
        assert_eq!(rendered(&all, Scheme::Https), expected);
        let plain = Attributes { secure: Secure::Never, same_site: SameSite::Strict, ..Attributes::default() };
        assert_eq!(rendered(&plain, Scheme::Https), "B=v; Path=/; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn a_value_cannot_add_attributes() {
        let cookie = SetCookie::new(CookieName::parse("B").unwrap(), &Attributes::default());
        for value in ["a; Domain=evil", "a b", "a,b", "\"a\"", "a\\", "a\r\nX: y", "ä"] {
            assert_eq!(cookie.render(value, Scheme::Http), None, "{value:?}");
        }
    }

    #[test]
    fn the_name_is_what_stands_before_the_equals_sign_of_the_first_part() {
        let name = |text: &'static str| name_of(&HeaderValue::from_static(text)).map(<[u8]>::to_vec);
        assert_eq!(name("B=v; Path=/"), Some(b"B".to_vec()));
        assert_eq!(name(" B =v"), Some(b"B".to_vec()));
        assert_eq!(name("B; Path=/"), None);
        assert_eq!(name("=v; B=x"), None);
        assert_eq!(name(""), None);
    }
}
