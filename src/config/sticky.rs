//! `sticky` of an upstream: what ties its sessions to servers.

use std::collections::HashMap;
use std::sync::Arc;

use super::choice::choice;
use super::errors::{Findings, Position};
use super::leaf::{Bool, OrNone};
use super::read::{At, Read};
use super::record::{OneOrMore, record};
use super::tree::Node;
use super::units::Seconds;
use crate::http::cookie::CookieName;
use crate::http::set_cookie::{Attributes, CookieDomain, CookiePath, HttpOnly, Partitioned, SameSite, Secure, broken_rules};
use crate::sticky::spec::{CookieSpec, EntrySpec, Lifetime, NewTieOn, Scope, StickySpec, TokenFormat};
use crate::upstream::UpstreamName;

/// The entries of a chain: a word, or a list.
pub(super) struct Entries;

impl Read for Entries {
    type Value = Vec<At<EntryText>>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        OneOrMore::<At<EntryText>>::read(node, findings)
    }

    fn schema() -> serde_json::Value {
        OneOrMore::<EntryText>::schema()
    }
}

/// One way of tying, as written.
#[derive(Debug)]
pub(super) enum EntryText {
    Cookie(CookieText),
}

choice! {
    "a way to tie sessions" => EntryText {
        /// A cookie that Burdock writes.
        cookie(CookieText = "{}") => Self::Cookie,
    }
}

record! {
    "a sticky cookie" => struct CookieText {
        /// The cookie's name; BURDOCK_ and the scope, unless given.
        name: Option<At<CookieName>>,
        /// Who makes the cookie.
        mode: Mode = "insert",
        /// Path attribute.
        path: CookiePath = "/",
        /// Domain attribute. Without it the cookie goes back to the host that set it and to no other.
        domain: Option<CookieDomain>,
        /// HttpOnly: scripts of the page cannot read it.
        http_only: Bool = "true",
        /// When the Secure attribute is set.
        secure: Secure = "auto",
        /// SameSite attribute.
        same_site: SameSite = "lax",
        /// Partitioned attribute (CHIPS): one cookie for each site that embeds this one.
        partitioned: Bool = "false",
        /// How long a browser keeps it; none is until it is closed.
        max_age: OrNone<At<Seconds>> = "none",
        /// Longest time between two requests of a session. Enforced here, whatever the browser keeps.
        idle_timeout: OrNone<At<Seconds>> = "none",
        /// Longest time since a session was first tied. Enforced here, whatever the browser keeps.
        max_life: OrNone<At<Seconds>> = "none",
        /// What the cookie's value is.
        token: TokenFormat = "sealed",
        /// Which responses of a server may tie a new session.
        new_tie_on: NewTieOn = "below_500",
    }
}

/// Who makes the cookie. Of one kind so far.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Insert,
}

choice! {
    "a cookie's mode" => Mode {
        /// Burdock adds a cookie of its own to responses.
        insert => Self::Insert,
    }
}

choice! {
    "a Secure setting" => Secure {
        /// When the client came by TLS.
        auto => Self::Auto,
        /// On every cookie.
        always => Self::Always,
        /// On none.
        never => Self::Never,
    }
}

choice! {
    "a SameSite value" => SameSite {
        /// Only on requests from the same site.
        strict => Self::Strict,
        /// Also when another site links here.
        lax => Self::Lax,
        /// Always; needs Secure.
        none => Self::None,
    }
}

choice! {
    "a token format" => TokenFormat {
        /// Encrypted and authenticated: cannot be made, read or changed by a client.
        sealed => Self::Sealed,
        /// The server's id as it is, without dates.
        plain => Self::Plain,
    }
}

choice! {
    "a set of responses" => NewTieOn {
        /// All but 5xx.
        below_500 => Self::Below500,
        /// All.
        any => Self::Any,
    }
}

/// A chain whose parts fit each other, and where its entries were written.
pub(super) fn build(
    upstream: &UpstreamName,
    scope: Option<UpstreamName>,
    written: Vec<At<EntryText>>,
    findings: &mut Findings,
) -> (StickySpec, Vec<Position>) {
    let scope = Scope(Arc::from(scope.as_ref().unwrap_or(upstream).as_str()));
    let mut first: HashMap<CookieName, Position> = HashMap::new();
    let mut entries = Vec::new();
    let mut places = Vec::new();
    for At { at, value: EntryText::Cookie(cookie), .. } in written {
        let at = cookie.name.as_ref().map_or(at, |name| name.at);
        let Some(cookie) = self::cookie(&scope, cookie, at, findings) else { continue };
        if let Some(first) = first.get(&cookie.name) {
            findings.fault(
                at,
                format!("two entries write the cookie {}, the first on line {}", cookie.name.as_str(), first.line),
            );
        }
        first.entry(cookie.name.clone()).or_insert(at);
        entries.push(EntrySpec::Cookie(cookie));
        places.push(at);
    }
    (StickySpec { scope, entries }, places)
}

fn cookie(scope: &Scope, written: CookieText, at: Position, findings: &mut Findings) -> Option<CookieSpec> {
    let Mode::Insert = written.mode;
    check_times(&written, findings);
    let name = match &written.name {
        Some(name) => name.value.clone(),
        None => default_name(scope, at, findings)?,
    };
    let seconds = |time: Option<At<u32>>| time.map(|time| time.value);
    let lifetime = Lifetime { idle: seconds(written.idle_timeout), life: seconds(written.max_life) };
    let attributes = Attributes {
        path: written.path,
        domain: written.domain,
        http_only: if written.http_only { HttpOnly::On } else { HttpOnly::Off },
        secure: written.secure,
        same_site: written.same_site,
        partitioned: if written.partitioned { Partitioned::On } else { Partitioned::Off },
        max_age: seconds(written.max_age),
    };
    for broken in broken_rules(&name, &attributes) {
        findings.fault(at, format!("the cookie {}: {broken}", name.as_str()));
    }
    Some(CookieSpec { name, attributes, token: written.token, lifetime, new_tie_on: written.new_tie_on })
}

fn default_name(scope: &Scope, at: Position, findings: &mut Findings) -> Option<CookieName> {
    let name = CookieName::parse(&format!("BURDOCK_{}", scope.0));
    if let Err(error) = &name {
        findings.fault_with_help(
            at,
            format!("no cookie's name can be made of the scope {}: {error}", scope.0),
            "give the cookie a name",
        );
    }
    name.ok()
}

/// Browsers keep no cookie for longer (RFC 6265bis, 5.6.2).
const BROWSERS_KEEP: u32 = 400 * 86_400;

fn check_times(cookie: &CookieText, findings: &mut Findings) {
    let CookieText { max_age, idle_timeout, max_life, .. } = cookie;
    match cookie.token {
        TokenFormat::Plain => {
            for (name, time) in [("idle_timeout", idle_timeout), ("max_life", max_life)] {
                if let Some(time) = time {
                    let message = format!("a plain token carries no dates, so {name} cannot be enforced");
                    findings.fault_with_help(time.at, message, "use token: sealed, or max_age alone");
                }
            }
        }
        TokenFormat::Sealed => {}
    }
    if let Some((idle, _)) = idle_timeout.as_ref().zip(max_life.as_ref()).filter(|(idle, life)| idle.value > life.value) {
        findings.warning(idle.at, "idle_timeout is longer than max_life, which therefore always ends first");
    }
    let Some(age) = max_age else { return };
    if idle_timeout.is_some_and(|idle| idle.value > age.value) {
        findings.warning(
            age.at,
            "max_age is shorter than idle_timeout: browsers drop the cookie before the session has idled out",
        );
    }
    if age.value > BROWSERS_KEEP {
        findings.warning(age.at, "max_age is over 400d, after which browsers drop a cookie anyway");
    }
}
