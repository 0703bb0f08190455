//! Which names and attributes go together (RFC 6265bis 4.1.3 and 5.7). Browsers silently drop a cookie that breaks one
//! of these rules, so the configuration is checked against them.

use super::{Attributes, HttpOnly, Partitioned, SameSite, Secure};
use crate::http::CookieName;

/// A rule that a cookie breaks, and how to fix it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BrokenRule {
    #[error("browsers drop a cookie with `same_site: none` that is not Secure: set `secure: always`")]
    SameSiteNoneNeedsSecure,
    #[error("browsers drop a cookie with `partitioned: true` that is not Secure: set `secure: always`")]
    PartitionedNeedsSecure,
    #[error("browsers drop a cookie named __Secure-…, __Host-… or __Http-… that is not Secure: set `secure: always`")]
    PrefixNeedsSecure,
    #[error("browsers drop a cookie named __Host-… unless its path is /: set `path: /`")]
    HostPrefixNeedsRootPath,
    #[error("browsers drop a cookie named __Host-… that has a domain: omit `domain`")]
    HostPrefixForbidsDomain,
    #[error("browsers drop a cookie named __Http-… or __Host-Http-… that is not HttpOnly: set `http_only: true`")]
    HttpPrefixNeedsHttpOnly,
    #[error("`max_age: 0` deletes the cookie at once: omit it for one that lasts until the browser closes")]
    ZeroMaxAge,
}

/// Every rule that the cookie breaks. `secure: auto` is not enough for a rule that requires Secure, since a client may
/// come without TLS. Name prefixes are not case-sensitive, as in browsers.
pub fn broken_rules(name: &CookieName, attributes: &Attributes) -> Vec<BrokenRule> {
    let prefixed = |prefix| has_prefix(name.as_str(), prefix);
    let host = prefixed("__Host-");
    let http = prefixed("__Http-") || prefixed("__Host-Http-");
    let insecure = attributes.secure != Secure::Always;
    let rules = [
        (insecure && attributes.same_site == SameSite::None, BrokenRule::SameSiteNoneNeedsSecure),
        (insecure && attributes.partitioned == Partitioned::On, BrokenRule::PartitionedNeedsSecure),
        (insecure && (host || http || prefixed("__Secure-")), BrokenRule::PrefixNeedsSecure),
        (host && attributes.path.as_ref().is_none_or(|path| path.as_str() != "/"), BrokenRule::HostPrefixNeedsRootPath),
        (host && !attributes.domains.is_empty(), BrokenRule::HostPrefixForbidsDomain),
        (http && attributes.http_only == HttpOnly::Off, BrokenRule::HttpPrefixNeedsHttpOnly),
        (attributes.max_age == Some(0), BrokenRule::ZeroMaxAge),
    ];
    rules.into_iter().filter_map(|(broken, rule)| broken.then_some(rule)).collect()
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::{CookieDomain, CookiePath};
    use super::*;

    fn broken(name: &str, attributes: Attributes) -> Vec<BrokenRule> {
        broken_rules(&CookieName::parse(name).unwrap(), &attributes)
    }

    fn secure() -> Attributes {
        Attributes { secure: Secure::Always, ..Attributes::default() }
    }

    #[test]
    fn the_defaults_break_no_rule() {
        assert_eq!(broken("BURDOCK_shop", Attributes::default()), []);
        assert_eq!(broken("__Host-Http-shop", secure()), []);
    }

    #[test]
    fn secure_auto_is_not_enough_if_secure_is_required() {
        let crossing = Attributes { same_site: SameSite::None, partitioned: Partitioned::On, ..Attributes::default() };
        let both = [BrokenRule::SameSiteNoneNeedsSecure, BrokenRule::PartitionedNeedsSecure];
        assert_eq!(broken("a", crossing.clone()), both);
        assert_eq!(broken("a", Attributes { secure: Secure::Never, ..crossing.clone() }), both);
        assert_eq!(broken("a", Attributes { secure: Secure::Always, ..crossing }), []);
    }

    #[test]
    fn name_prefixes_require_secure_in_any_case() {
        for name in ["__Secure-a", "__secure-a", "__HOST-a", "__Http-a", "__host-http-a"] {
            assert_eq!(broken(name, Attributes::default()), [BrokenRule::PrefixNeedsSecure], "{name}");
            assert_eq!(broken(name, secure()), [], "{name}");
        }
    }

    #[test]
    fn the_host_prefix_requires_the_root_path_and_no_domain() {
        let domains = vec![CookieDomain::parse("example.com").unwrap()];
        let wide = Attributes { domains, path: Some(CookiePath::parse("/a").unwrap()), ..secure() };
        let both = [BrokenRule::HostPrefixNeedsRootPath, BrokenRule::HostPrefixForbidsDomain];
        assert_eq!(broken("__Host-a", wide.clone()), both);
        assert_eq!(broken("__host-Http-a", wide.clone()), both);
        assert_eq!(broken("__Secure-a", wide), []);
        let no_path = Attributes { path: None, ..secure() };
        assert_eq!(broken("__Host-a", no_path), [BrokenRule::HostPrefixNeedsRootPath]);
    }

    #[test]
    fn the_http_prefixes_require_http_only() {
        let open = Attributes { http_only: HttpOnly::Off, ..secure() };
        assert_eq!(broken("__Http-a", open.clone()), [BrokenRule::HttpPrefixNeedsHttpOnly]);
        assert_eq!(broken("__Host-Http-a", open.clone()), [BrokenRule::HttpPrefixNeedsHttpOnly]);
        assert_eq!(broken("__Host-a", open), []);
    }

    #[test]
    fn a_cookie_is_not_deleted_by_its_own_max_age() {
        assert_eq!(broken("a", Attributes { max_age: Some(0), ..secure() }), [BrokenRule::ZeroMaxAge]);
    }
}
