//! The times of a tie, and whether they fit each other and the token.

use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::read::At;
use crate::session::lifetime::Lifetime;
use crate::session::token_format::TokenFormat;

/// The times of an entry, in seconds, with their locations.
pub(super) struct Times {
    pub(super) idle: Option<At<u32>>,
    pub(super) life: Option<At<u32>>,
    age: CookieAge,
}

/// How long a browser keeps the cookie.
enum CookieAge {
    /// Until it is closed.
    WhileOpen,
    /// As long as the tie holds.
    LikeTie(Location),
    Seconds(At<u32>),
}

/// The responses in which a tie can be renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Renewal {
    Any,
    /// Only those in which the application names the session.
    WhenNamed,
}

/// Browsers keep no cookie longer than this (RFC 6265bis, 5.6.2).
const MAX_COOKIE_AGE: u32 = 400 * 86_400;

impl Times {
    /// `age` is None for a browser's session, and within that None for what follows from the other times.
    pub(super) fn new(idle: Option<At<u32>>, life: Option<At<u32>>, age: At<Option<Option<u32>>>) -> Self {
        let age = match age.value {
            None => CookieAge::WhileOpen,
            Some(None) => CookieAge::LikeTie(age.at),
            Some(Some(value)) => CookieAge::Seconds(At { value, at: age.at, state: age.state }),
        };
        Self { idle, life, age }
    }

    /// For ties that are not in a cookie of Burdock's.
    pub(super) fn without_age(idle: Option<At<u32>>, life: Option<At<u32>>) -> Self {
        Self { idle, life, age: CookieAge::WhileOpen }
    }

    /// How long a browser keeps the cookie, in seconds.
    pub(super) fn max_age(&self) -> Option<u32> {
        match &self.age {
            CookieAge::WhileOpen => None,
            CookieAge::LikeTie(_) => self.longest_tie(),
            CookieAge::Seconds(age) => Some(age.value),
        }
    }

    /// How long a tie holds without a request: a tenth longer than the idle time, as a renewal may be a tenth late.
    fn longest_tie(&self) -> Option<u32> {
        let seconds = |time: &Option<At<u32>>| time.as_ref().map(|time| u64::from(time.value));
        let idle = seconds(&self.idle).map(|idle| (idle * 11).div_ceil(10));
        let longest = idle.into_iter().chain(seconds(&self.life)).min()?;
        Some(u32::try_from(longest).unwrap_or(MAX_COOKIE_AGE).min(MAX_COOKIE_AGE))
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        let seconds = |time: &Option<At<u32>>| time.as_ref().map(|time| time.value);
        Lifetime { idle: seconds(&self.idle), life: seconds(&self.life) }
    }
}

pub(super) fn check(times: &Times, token: TokenFormat, renewal: Renewal, findings: &mut Findings) {
    let Times { idle, life, age } = times;
    let dated = [("idle_timeout", idle), ("max_life", life)];
    for (name, time) in dated.into_iter().filter_map(|(name, time)| Some((name, time.as_ref()?))) {
        if token == TokenFormat::Plain {
            let message = format!("a plain token carries no dates, so {name} cannot be enforced");
            findings.fault_with_help(time.at, message, "use token: sealed");
        }
    }
    if let Some(idle) = idle.as_ref().filter(|_| renewal == Renewal::WhenNamed) {
        let message = "a token inside the application's own value can be renewed only when the application sends that value again, \
                       so idle_timeout would end sessions that are in use";
        findings.fault_with_help(idle.at, message, "use max_life, or let the application end its sessions");
    }
    if let Some((idle, _)) = idle.as_ref().zip(life.as_ref()).filter(|(idle, life)| idle.value > life.value) {
        findings.warning(idle.at, "longer than max_life, so max_life always ends first");
    }
    let age = match age {
        CookieAge::WhileOpen => return,
        CookieAge::LikeTie(at) => {
            if times.longest_tie().is_none() {
                let message = "auto follows from idle_timeout and max_life, and neither is set";
                findings.fault_with_help(*at, message, "set idle_timeout, or write the time, such as max_age: 8h");
            }
            return;
        }
        CookieAge::Seconds(age) => age,
    };
    match idle.as_ref().map(|idle| u64::from(idle.value)) {
        Some(idle) if idle > u64::from(age.value) => {
            findings.warning(age.at, "shorter than idle_timeout, so browsers drop the cookie before the session expires");
        }
        Some(idle) if idle * 11 > u64::from(age.value) * 10 => {
            let message = "less than a tenth longer than idle_timeout, so browsers drop the cookie before the session expires: a session \
                           lasts up to a tenth longer than idle_timeout";
            findings.warning(age.at, message);
        }
        Some(_) | None => {}
    }
    if token == TokenFormat::Plain && age.value < MAX_COOKIE_AGE {
        let message = "a plain token carries no dates, so Burdock cannot renew the cookie: browsers drop it after this time, even if \
                       the session is in use; use token: sealed, or max_age: none";
        findings.warning(age.at, message);
    }
    if age.value > MAX_COOKIE_AGE {
        findings.warning(age.at, "longer than 400d, after which browsers drop a cookie anyway");
    }
}
