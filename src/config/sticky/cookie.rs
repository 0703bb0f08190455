//! `cookie` entries of `sticky`: their grammar and the rules between their fields.

use crate::config::accept::{self, AcceptedTokens};
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::{OneOrMore, record};
use crate::config::schema::read::{At, ListOf};
use crate::config::schema::scalar::{Bool, OrAuto, OrNone, OrOmit};
use crate::config::schema::units::Seconds;
use crate::http::cookie::CookieName;
use crate::http::set_cookie::{
    Attributes, CookieDomain, CookiePath, ExtraAttribute, HttpOnly, Partitioned, SameSite, Secure, broken_rules,
};
use crate::session::scope::Scope;
use crate::session::token_format::TokenFormat;
use crate::sticky::cookie::{CookieMode, CookieSpec};
use crate::sticky::entry::EntrySpec;
use crate::sticky::method::MethodSpec;
use crate::sticky::spec::{Caching, Forwarding, NewTieOn, Preserve, Strict, Verbs};
use crate::token::foreign::Carrier;

use super::lifetime::{self, Times};
use super::method_text::MethodText;

record! {
    "a sticky cookie" => struct CookieText {
        /// The cookie's name. The default is BURDOCK_ and the scope; modes other than insert need the application's cookie.
        name: Option<At<CookieName>>,
        /// Who sets the cookie, and what Burdock does with it.
        mode: CookieMode = "insert",
        /// In mode insert: the application's session cookie. Burdock's cookie is set, renewed and deleted with it, with its
        /// Path, Max-Age and Expires. A request without it has no tie.
        follows: Option<At<CookieName>>,
        /// Path attribute, or omit for none: browsers then keep the cookie to the directory of the request's path.
        path: OrOmit<CookiePath> = "/",
        /// Domain attribute: one domain or a list. A host gets the longest one that it lies under. If none fits, browsers
        /// send the cookie only to the host that set it.
        domain: OneOrMore<CookieDomain> = "[]",
        /// HttpOnly attribute: scripts of the page cannot read the cookie.
        http_only: Bool = "true",
        /// When the cookie has the Secure attribute.
        secure: Secure = "auto",
        /// SameSite attribute.
        same_site: SameSite = "auto",
        /// Partitioned attribute (CHIPS): one cookie for each site that embeds this one.
        partitioned: Bool = "false",
        /// Further attributes, appended unchanged.
        attributes: ListOf<ExtraAttribute> = "[]",
        /// How long a browser keeps the cookie. With none, until the browser is closed; with auto, as long as the tie holds
        /// by idle_timeout and max_life.
        max_age: At<OrNone<OrAuto<Seconds>>> = "none",
        /// Longest time between two requests of a session. Burdock enforces it, even if the browser keeps the cookie longer.
        idle_timeout: OrNone<At<Seconds>> = "none",
        /// Longest time since a session was first tied. Burdock enforces it, even if the browser keeps the cookie longer.
        max_life: OrNone<At<Seconds>> = "none",
        /// The format of the token in the cookie.
        token: TokenFormat = "sealed",
        /// Which responses of a server may tie a new session.
        new_tie_on: NewTieOn = "below_500",
        /// Whether only responses to POST may tie a new session.
        post_only: Bool = "false",
        /// Whether a cookie of this name that the server sets passes unchanged and keeps Burdock from inserting one.
        preserve: Bool = "false",
        /// Whether the cookie is hidden from the server. With auto, it is hidden in mode insert only.
        hide: OrAuto<Bool> = "auto",
        /// Cache-Control of a response that sets the cookie.
        cache_control: Caching = "private",
        /// Whether a session whose server cannot serve it is refused, with 503 or this status, regardless of failover.
        strict: Strict = "false",
        /// Tokens of the previous proxy to accept.
        accept: AcceptedTokens = "[]",
    }
}

choice! {
    "a cookie's mode" => CookieMode {
        /// Burdock adds a cookie of its own to responses.
        insert => Self::Insert,
        /// The application sets the cookie; its value becomes the token.
        rewrite => Self::Rewrite,
        /// The application sets the cookie; the token precedes its value and is removed from requests.
        prefix => Self::Prefix,
        /// Burdock only reads the cookie.
        passive => Self::Passive,
    }
}

choice! {
    "a Secure setting" => Secure {
        /// On cookies for clients that use TLS.
        auto => Self::Auto,
        /// On all cookies.
        always => Self::Always,
        /// On no cookie.
        never => Self::Never,
    }
}

choice! {
    "a SameSite value" => SameSite {
        /// None if the cookie is Secure, otherwise no attribute.
        auto => Self::Auto,
        /// Only on requests from the same site.
        strict => Self::Strict,
        /// Also when the user follows a link from another site.
        lax => Self::Lax,
        /// On all requests; requires Secure.
        none => Self::None,
        /// No attribute.
        omit => Self::Omit,
    }
}

impl MethodText for CookieText {
    fn build(self: Box<Self>, scope: &Scope, at: Location, findings: &mut Findings) -> Option<(EntrySpec, Location)> {
        let written = *self;
        let at = written.name.as_ref().map_or(at, |name| name.at);
        let name = name(scope, &written, at, findings);
        let times = Times::new(written.idle_timeout, written.max_life, written.max_age);
        let mode = written.mode;
        check_followed(&written, name.as_ref(), findings);
        lifetime::check(&times, written.token, renewal_of(mode), findings);
        let attributes = written.attributes(&times);
        check(&written, name.as_ref(), &attributes, at, findings);
        let carrier = if mode == CookieMode::Prefix { Carrier::PrefixedCookie } else { Carrier::Cookie };
        let accept = accept::build(written.accept, carrier, findings);
        let spec = CookieSpec {
            name: name?,
            mode,
            attributes,
            token: written.token,
            lifetime: times.lifetime(),
            new_tie_on: written.new_tie_on,
            forwarding: match written.hide {
                Some(true) => Forwarding::Hide,
                None if mode == CookieMode::Insert => Forwarding::Hide,
                Some(false) | None => Forwarding::Show,
            },
            preserve: if written.preserve { Preserve::On } else { Preserve::Off },
            verbs: if written.post_only { Verbs::Post } else { Verbs::All },
            caching: written.cache_control,
            follows: written.follows.map(|follows| follows.value),
            accept,
        };
        warn_of_session_name(&spec, at, findings);
        Some((EntrySpec { method: MethodSpec::Cookie(spec), strict: written.strict }, at))
    }
}

impl CookieText {
    fn attributes(&self, times: &Times) -> Attributes {
        Attributes {
            path: self.path.clone().filter(|_| self.follows.is_none()),
            domains: self.domain.clone(),
            http_only: if self.http_only { HttpOnly::On } else { HttpOnly::Off },
            secure: self.secure,
            same_site: self.same_site,
            partitioned: if self.partitioned { Partitioned::On } else { Partitioned::Off },
            extra: self.attributes.clone(),
            max_age: times.max_age(),
        }
    }
}

fn name(scope: &Scope, written: &CookieText, at: Location, findings: &mut Findings) -> Option<CookieName> {
    match (&written.name, written.mode) {
        (Some(name), _) => Some(name.value.clone()),
        (None, CookieMode::Insert) => default_name(scope, at, findings),
        (None, CookieMode::Rewrite | CookieMode::Prefix | CookieMode::Passive) => {
            findings.fault_with_help(
                at,
                "name is required unless mode is insert",
                "give the name of the application's cookie, such as name: JSESSIONID",
            );
            None
        }
    }
}

/// Session cookies of common application servers and frameworks.
const OF_APPLICATIONS: [&str; 14] = [
    "JSESSIONID",
    "PHPSESSID",
    "connect.sid",
    "ASP.NET_SessionId",
    ".AspNetCore.Session",
    "laravel_session",
    "sessionid",
    "session",
    "SESSION",
    "_session_id",
    "rack.session",
    "CFID",
    "ci_session",
    "PLAY_SESSION",
];

/// Warns if Burdock's own cookie has the name of a session cookie: its servers would never get theirs back.
fn warn_of_session_name(cookie: &CookieSpec, at: Location, findings: &mut Findings) {
    let name = cookie.name.as_str();
    if cookie.mode == CookieMode::Insert && cookie.preserve == Preserve::Off && OF_APPLICATIONS.contains(&name) {
        findings.warning(
            at,
            format!(
                "applications use the name {name} for their own sessions, and Burdock drops the servers' cookies of this name: to tie \
                 the sessions of {name}, use follows: {name}, mode: prefix or learn"
            ),
        );
    }
}

fn default_name(scope: &Scope, at: Location, findings: &mut Findings) -> Option<CookieName> {
    let name = CookieName::parse(&format!("BURDOCK_{}", scope.0));
    if let Err(error) = &name {
        findings.fault_with_help(at, format!("no cookie can be named after the scope {}: {error}", scope.0), "set name");
    }
    name.ok()
}

/// A cookie that follows the application's has its times and path from there.
fn check_followed(written: &CookieText, name: Option<&CookieName>, findings: &mut Findings) {
    let Some(follows) = &written.follows else { return };
    let followed = follows.value.as_str();
    if name == Some(&follows.value) {
        let help = "give Burdock's cookie another name, or use mode: rewrite or prefix";
        findings.fault_with_help(follows.at, format!("the cookie {followed} cannot follow itself"), help);
    }
    if written.mode != CookieMode::Insert {
        let message = "only a cookie of Burdock's own (mode insert) can follow another";
        findings.fault_with_help(follows.at, message, "remove follows, or mode");
    }
    let defaults = Attributes::default();
    let taken = [
        ("path", written.path != defaults.path),
        ("max_age", written.max_age.value.is_some()),
        ("idle_timeout", written.idle_timeout.is_some()),
        ("preserve", written.preserve),
        ("post_only", written.post_only),
    ];
    let taken: Vec<&str> = taken.into_iter().filter(|(_, set)| *set).map(|(field, _)| field).collect();
    if !taken.is_empty() {
        let message =
            format!("Burdock's cookie is set and deleted with {followed}, so {} would have no effect", taken.join(", "));
        findings.fault_with_help(follows.at, message, "remove path, max_age, idle_timeout, preserve and post_only");
    }
}

/// The responses in which a tie of this mode can be renewed.
fn renewal_of(mode: CookieMode) -> lifetime::Renewal {
    match mode {
        CookieMode::Insert | CookieMode::Passive => lifetime::Renewal::Any,
        CookieMode::Rewrite | CookieMode::Prefix => lifetime::Renewal::WhenNamed,
    }
}

/// Checks what the mode does with the other fields. `name` is None if it is missing, which is a fault of its own.
fn check(written: &CookieText, name: Option<&CookieName>, attributes: &Attributes, at: Location, findings: &mut Findings) {
    if written.mode == CookieMode::Insert {
        let broken = name.map(|name| (name, broken_rules(name, attributes)));
        for (name, rule) in broken.iter().flat_map(|(name, rules)| rules.iter().map(move |rule| (name, rule))) {
            findings.fault(at, format!("the cookie {}: {rule}", name.as_str()));
        }
        return;
    }
    let cookie = name.map_or_else(|| "this cookie".to_owned(), |name| format!("the cookie {}", name.as_str()));
    let of_insert = [
        ("attributes", *attributes != Attributes::default()),
        ("preserve", written.preserve),
        ("post_only", written.post_only),
    ];
    let unused: Vec<&str> = of_insert.into_iter().filter(|(_, set)| *set).map(|(field, _)| field).collect();
    if !unused.is_empty() {
        let message = format!("Burdock does not create {cookie}, so {} would have no effect", unused.join(", "));
        let help = "remove path, domain, http_only, secure, same_site, partitioned, attributes, max_age, preserve and post_only: \
                    they are for mode insert";
        findings.fault_with_help(at, message, help);
    }
    if written.mode == CookieMode::Prefix && written.hide.is_some() {
        let value = name.map_or_else(|| "the cookie".to_owned(), |name| name.as_str().to_owned());
        let message = format!("hide has no effect in mode prefix: the server always sees its own value of {value}");
        findings.fault_with_help(at, message, "remove it");
    }
}
