//! The Set-Cookie header of responses: a template that is built once for each cookie, the rules for its attributes (RFC
//! 6265bis) without which browsers reject it, and a parser for headers of servers.
//!
//! Burdock sends Max-Age only, never Expires: browsers prefer Max-Age, and it does not depend on the client's clock.
//! This module does not decide which value is sent, or when.

mod attributes;
mod cookie_date;
mod domain;
mod extra;
mod line;
mod rules;

pub use attributes::{Attributes, CookiePath, HttpOnly, InvalidCookiePath, Partitioned, SameSite, Secure};
pub use domain::{CookieDomain, InvalidCookieDomain, narrowest};
pub use extra::{ExtraAttribute, InvalidExtraAttribute};
pub use line::SetCookieLine;
pub use rules::{BrokenRule, broken_rules};

use ::http::HeaderValue;

use super::{CookieName, Scheme};

/// A Set-Cookie header that lacks only its value.
#[derive(Clone, Debug)]
pub struct SetCookie {
    name: CookieName,
    domains: Box<[CookieDomain]>,
    host_only: Suffixes,
    /// One for each domain.
    on_domains: Box<[Suffixes]>,
}

/// Which hosts get a cookie: those covered by one of its domains, or only the host that sets it, which is the default.
/// [`SetCookie::site`] finds it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Site(Option<usize>);

/// The attributes after the value, and the header that deletes the cookie, for each scheme of a client.
#[derive(Clone, Debug)]
struct Suffixes {
    over_http: Suffix,
    over_https: Suffix,
}

#[derive(Clone, Debug)]
struct Suffix {
    attributes: Box<str>,
    deletion: HeaderValue,
}

impl SetCookie {
    pub fn new(name: CookieName, attributes: &Attributes) -> Self {
        let on_domain = |domain| Suffixes::new(&name, attributes, Some(domain));
        Self {
            domains: attributes.domains.clone().into(),
            host_only: Suffixes::new(&name, attributes, None),
            on_domains: attributes.domains.iter().map(on_domain).collect(),
            name,
        }
    }

    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// Whether [`site`](Self::site) depends on the host.
    pub fn reads_host(&self) -> bool {
        !self.domains.is_empty()
    }

    /// The longest domain that covers a request's host, or only the host if there is none. `host` is as sent, with or
    /// without a port. At most one is sent: of several Domain attributes browsers use the last, whether it fits or not
    /// (HAProxy sends them all).
    pub fn site(&self, host: &str) -> Site {
        Site(narrowest(&self.domains, host))
    }

    /// The header for a client that uses `scheme`. None if the value is not a valid cookie value (RFC 6265bis
    /// `cookie-octet`); tokens and server ids always are.
    pub fn render(&self, value: &str, scheme: Scheme, site: Site) -> Option<HeaderValue> {
        if !value.bytes().all(is_cookie_byte) {
            return None;
        }
        let (name, attributes) = (self.name.as_str(), &self.suffix(scheme, site).attributes);
        let mut header = Vec::with_capacity(name.len() + 1 + value.len() + attributes.len());
        header.extend_from_slice(name.as_bytes());
        header.push(b'=');
        header.extend_from_slice(value.as_bytes());
        header.extend_from_slice(attributes.as_bytes());
        HeaderValue::try_from(header).ok()
    }

    /// The header that makes a browser delete the cookie that [`render`](Self::render) set for the same site: no value,
    /// `Max-Age=0`, and otherwise the same.
    pub fn deletion(&self, scheme: Scheme, site: Site) -> HeaderValue {
        self.suffix(scheme, site).deletion.clone()
    }

    fn suffix(&self, scheme: Scheme, site: Site) -> &Suffix {
        let suffixes = site.0.and_then(|at| self.on_domains.get(at)).unwrap_or(&self.host_only);
        match scheme {
            Scheme::Http => &suffixes.over_http,
            Scheme::Https => &suffixes.over_https,
        }
    }
}

impl Suffixes {
    fn new(name: &CookieName, attributes: &Attributes, domain: Option<&CookieDomain>) -> Self {
        let over = |scheme| Suffix::new(name, attributes, domain, scheme);
        Self { over_http: over(Scheme::Http), over_https: over(Scheme::Https) }
    }
}

impl Suffix {
    fn new(name: &CookieName, attributes: &Attributes, domain: Option<&CookieDomain>, scheme: Scheme) -> Self {
        let text = |attributes: &Attributes| attributes.text(scheme, domain);
        let over = Attributes { max_age: Some(0), ..attributes.clone() };
        // The types of name and attributes allow visible ASCII only, so this is always a valid header.
        let deletion = HeaderValue::try_from(format!("{name}={}", text(&over)));
        Self { attributes: text(attributes).into(), deletion: deletion.unwrap_or(HeaderValue::from_static("")) }
    }
}

fn is_cookie_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(attributes: &Attributes, scheme: Scheme) -> String {
        rendered_on(attributes, scheme, "www.example.com")
    }

    fn rendered_on(attributes: &Attributes, scheme: Scheme, host: &str) -> String {
        let cookie = cookie(attributes);
        let header = cookie.render("v", scheme, cookie.site(host)).unwrap();
        header.to_str().unwrap().to_owned()
    }

    fn cookie(attributes: &Attributes) -> SetCookie {
        SetCookie::new(CookieName::parse("B").unwrap(), attributes)
    }

    fn on(domains: &[&str]) -> Attributes {
        let domains = domains.iter().map(|domain| CookieDomain::parse(domain).unwrap()).collect();
        Attributes { domains, ..Attributes::default() }
    }

    #[test]
    fn default_attributes_are_the_safe_ones() {
        assert_eq!(rendered(&Attributes::default(), Scheme::Http), "B=v; Path=/; HttpOnly");
        assert_eq!(rendered(&Attributes::default(), Scheme::Https), "B=v; Path=/; Secure; HttpOnly; SameSite=None");
    }

    #[test]
    fn same_site_auto_is_none_on_secure_cookies_and_absent_on_others() {
        let with = |secure| Attributes { secure, ..Attributes::default() };
        for (secure, scheme, expected) in [
            (Secure::Always, Scheme::Http, "; Secure; HttpOnly; SameSite=None"),
            (Secure::Always, Scheme::Https, "; Secure; HttpOnly; SameSite=None"),
            (Secure::Never, Scheme::Https, "; HttpOnly"),
        ] {
            assert_eq!(rendered(&with(secure), scheme), format!("B=v; Path=/{expected}"));
        }
    }

    #[test]
    fn omitted_attributes_are_not_written() {
        let bare = Attributes { path: None, same_site: SameSite::Omit, secure: Secure::Always, ..Attributes::default() };
        assert_eq!(rendered(&bare, Scheme::Https), "B=v; Secure; HttpOnly");
    }

    #[test]
    fn every_attribute_is_written_as_set() {
        let all = Attributes {
            path: Some(CookiePath::parse("/shop").unwrap()),
            domains: vec![CookieDomain::parse(".example.com").unwrap()],
            http_only: HttpOnly::Off,
            secure: Secure::Always,
            same_site: SameSite::None,
            partitioned: Partitioned::On,
            max_age: Some(3600),
            extra: ["Priority=High", "x"].map(|text| ExtraAttribute::parse(text).unwrap()).to_vec(),
        };
        let expected =
            "B=v; Path=/shop; Domain=example.com; Max-Age=3600; Secure; SameSite=None; Partitioned; Priority=High; x";
        assert_eq!(rendered(&all, Scheme::Http), expected);
        assert_eq!(rendered(&all, Scheme::Https), expected);
        let plain = Attributes { secure: Secure::Never, same_site: SameSite::Strict, ..Attributes::default() };
        assert_eq!(rendered(&plain, Scheme::Https), "B=v; Path=/; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn a_value_cannot_add_attributes() {
        let cookie = cookie(&Attributes::default());
        for value in ["a; Domain=evil", "a b", "a,b", "\"a\"", "a\\", "a\r\nX: y", "ä"] {
            assert_eq!(cookie.render(value, Scheme::Http, Site::default()), None, "{value:?}");
        }
    }

    #[test]
    fn the_narrowest_domain_of_the_host_is_sent() {
        let attributes = on(&["example.com", "Shop.example.com", "example.org"]);
        for (host, domain) in [
            ("example.com", "; Domain=example.com"),
            ("www.example.com:8080", "; Domain=example.com"),
            ("a.SHOP.example.com.", "; Domain=Shop.example.com"),
            ("shop.example.com", "; Domain=Shop.example.com"),
            ("example.org", "; Domain=example.org"),
        ] {
            let expected = format!("B=v; Path=/{domain}; HttpOnly");
            assert_eq!(rendered_on(&attributes, Scheme::Http, host), expected, "{host}");
        }
    }

    #[test]
    fn a_host_outside_all_domains_gets_a_host_only_cookie() {
        for host in ["example.net", "badexample.com", "com", "10.0.0.1", "[::1]:80", ""] {
            let rendered = rendered_on(&on(&["example.com", "example.org"]), Scheme::Http, host);
            assert_eq!(rendered, "B=v; Path=/; HttpOnly", "{host}");
        }
    }

    #[test]
    fn a_deletion_differs_only_in_value_and_max_age() {
        let attributes = Attributes { max_age: Some(60), same_site: SameSite::None, ..on(&["example.com"]) };
        let cookie = cookie(&attributes);
        for (scheme, host) in [(Scheme::Http, "a.example.com"), (Scheme::Https, "b.test")] {
            let site = cookie.site(host);
            let set = cookie.render("v", scheme, site).unwrap();
            let expected = set.to_str().unwrap().replace("B=v;", "B=;").replace("Max-Age=60", "Max-Age=0");
            assert_eq!(cookie.deletion(scheme, site), expected);
            assert!(SetCookieLine::parse(&cookie.deletion(scheme, site)).unwrap().deletes(1));
        }
    }

    #[test]
    fn the_name_is_before_the_first_equals_sign() {
        let name =
            |text: &'static str| SetCookieLine::parse(&HeaderValue::from_static(text)).map(|line| line.name().to_vec());
        assert_eq!(name("B=v; Path=/"), Some(b"B".to_vec()));
        assert_eq!(name(" B =v"), Some(b"B".to_vec()));
        assert_eq!(name("B; Path=/"), None);
        assert_eq!(name("=v; B=x"), None);
        assert_eq!(name(""), None);
    }
}
