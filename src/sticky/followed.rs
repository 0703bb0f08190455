//! The application's session cookie that Burdock's cookie follows: Burdock's is set, renewed and deleted with it, as the
//! application cookie of AWS and the JSESSIONID of Cloud Foundry are followed. It knows no token and no server.

use ::http::HeaderMap;
use ::http::header::SET_COOKIE;

use super::answers::AppSignal;
use crate::http::cookie::{CookieName, CookieNames, Cookies};
use crate::http::set_cookie::SetCookieLine;
use crate::time::Now;

/// The application's cookie.
#[derive(Debug)]
pub(super) struct Followed {
    name: CookieName,
    /// Its number in the chain's [`CookieNames`].
    number: usize,
}

impl Followed {
    pub(super) fn new(name: CookieName, names: &mut CookieNames) -> Self {
        Self { number: names.number(&name), name }
    }

    /// Whether a request carries it. Without it there is no session, whatever Burdock's cookie says.
    pub(super) fn is_in(&self, cookies: &Cookies<'_>) -> bool {
        cookies.values(self.number).next().is_some()
    }

    /// What a response does with it.
    pub(super) fn signal(&self, headers: &HeaderMap, now: Now) -> AppSignal {
        self.line(headers, now)
            .map_or(AppSignal::Silent, |line| if line.deletes(now.wall.0) { AppSignal::Deletes } else { AppSignal::Creates })
    }

    /// The line to follow: the last that sets it. If there is none, the last that deletes it.
    pub(super) fn line<'h>(&self, headers: &'h HeaderMap, now: Now) -> Option<SetCookieLine<'h>> {
        let lines = headers.get_all(SET_COOKIE).into_iter().filter_map(SetCookieLine::parse);
        let mine = lines.filter(|line| line.name() == self.name.as_str().as_bytes());
        // Of several equal ones `max_by_key` gives the last.
        mine.max_by_key(|line| !line.deletes(now.wall.0))
    }
}
