//! Where a response contains the name of a session: in a cookie that the application sets, or in a header.

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::cookie::{CookieName, unquoted};
use crate::http::set_cookie::SetCookieLine;

use super::Slice;

/// A place in a response that names a session, and which part of its text counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResponseSource {
    pub place: ResponsePlace,
    pub slice: Slice,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ResponsePlace {
    SetCookie(CookieName),
    Header(HeaderName),
}

/// What an application says about a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SessionSignal<'r> {
    /// The session has this name.
    Named(&'r [u8]),
    /// The session that the request named has ended.
    Ended,
}

impl ResponseSource {
    /// Everything that a response says in this source; `now` is in Unix seconds.
    pub fn read<'r>(&'r self, headers: &'r HeaderMap, now: u32) -> impl Iterator<Item = SessionSignal<'r>> {
        let cookies = match &self.place {
            ResponsePlace::SetCookie(name) => Some((headers.get_all(SET_COOKIE), name)),
            ResponsePlace::Header(_) => None,
        };
        let values = match &self.place {
            ResponsePlace::SetCookie(_) => None,
            ResponsePlace::Header(name) => Some(headers.get_all(name)),
        };
        let cookies = cookies.into_iter().flat_map(move |(lines, name)| {
            let lines = lines.into_iter().filter_map(SetCookieLine::parse);
            lines.filter(move |line| line.name() == name.as_str().as_bytes()).map(move |line| self.of_line(&line, now))
        });
        let values = values.into_iter().flatten().map(HeaderValue::as_bytes);
        cookies.chain(values.map(|value| self.of_value(value))).flatten()
    }

    fn of_line<'r>(&self, line: &SetCookieLine<'r>, now: u32) -> Option<SessionSignal<'r>> {
        if line.deletes(now) { Some(SessionSignal::Ended) } else { self.of_value(unquoted(line.value())) }
    }

    fn of_value<'r>(&self, value: &'r [u8]) -> Option<SessionSignal<'r>> {
        self.slice.of(value).map(|kept| SessionSignal::Named(&value[kept]))
    }
}
