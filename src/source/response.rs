//! Where a session's name is read in a response: in a cookie that the application sets, or in a header of its own.

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::cookie::{CookieName, unquoted};
use crate::http::set_cookie::SetCookieLine;

use super::Cut;

/// A place in a response that names a session, and what of its text counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResponseSource {
    pub place: ResponsePlace,
    pub cut: Cut,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ResponsePlace {
    SetCookie(CookieName),
    Header(HeaderName),
}

/// What an application says of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said<'r> {
    /// It has one of this name.
    Named(&'r [u8]),
    /// It ends the one that the request has named.
    Ended,
}

impl ResponseSource {
    /// All that a response says here; `now` is in Unix seconds.
    pub fn read<'r>(&'r self, headers: &'r HeaderMap, now: u32) -> impl Iterator<Item = Said<'r>> {
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

    fn of_line<'r>(&self, line: &SetCookieLine<'r>, now: u32) -> Option<Said<'r>> {
        if line.deletes(now) { Some(Said::Ended) } else { self.of_value(unquoted(line.value())) }
    }

    fn of_value<'r>(&self, value: &'r [u8]) -> Option<Said<'r>> {
        self.cut.of(value).map(|kept| Said::Named(&value[kept]))
    }
}
