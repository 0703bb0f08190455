//! The field lines of a message on their way through: edited in place and written as they were spelled.

use std::borrow::Cow;

use ::http::{HeaderMap, HeaderName, HeaderValue};

use super::fault::RequestFault;
use super::fields;
use crate::http::edits::{EditHeaders, Spelling};

/// Field lines, in their order.
#[derive(Clone, Debug, Default)]
pub struct Lines<'b>(Vec<Line<'b>>);

#[derive(Clone, Debug)]
struct Line<'b> {
    name: Cow<'b, [u8]>,
    value: Cow<'b, [u8]>,
}

impl<'b> Lines<'b> {
    /// Reads field lines up to and including the empty line.
    ///
    /// # Errors
    /// A line that is none, or too many of them.
    pub fn read(bytes: &'b [u8]) -> Result<Self, RequestFault> {
        let mut lines = Vec::with_capacity(24);
        fields::read(bytes, |field| {
            lines.push(Line { name: Cow::Borrowed(field.name), value: Cow::Borrowed(field.value) });
            Ok(())
        })?;
        Ok(Self(lines))
    }

    /// The lines as a map, which the steps read. Lines that no map takes are left out.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len());
        for line in &self.0 {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line.name), HeaderValue::from_bytes(&line.value)) {
                map.append(name, value);
            }
        }
        map
    }

    /// Writes all lines, without the empty line.
    pub fn write(&self, out: &mut Vec<u8>) {
        for line in &self.0 {
            out.extend_from_slice(&line.name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(&line.value);
            out.extend_from_slice(b"\r\n");
        }
    }

    fn push(&mut self, name: Vec<u8>, value: &HeaderValue) {
        self.0.push(Line { name: Cow::Owned(name), value: Cow::Owned(value.as_bytes().to_vec()) });
    }

    /// How a name is spelled: as a line has it already, or in its usual form.
    fn spelling(&self, name: &HeaderName) -> Vec<u8> {
        let written = self.0.iter().find(|line| line.is(name.as_str()));
        written.map_or_else(|| in_usual_form(name.as_str()), |line| line.name.to_vec())
    }
}

impl Line<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl EditHeaders for Lines<'_> {
    type Error = std::convert::Infallible;

    fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|line| !line.is(name.as_str()));
    }

    fn set(&mut self, name: Spelling, value: HeaderValue) -> Result<(), Self::Error> {
        let (name, spelling) = match name {
            Spelling::Usual(name) => (name.as_str().to_owned(), self.spelling(&name)),
            Spelling::AsWritten(name) => (name.to_owned(), name.as_bytes().to_vec()),
        };
        self.0.retain(|line| !line.is(&name));
        self.push(spelling, &value);
        Ok(())
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error> {
        let spelling = self.spelling(&name);
        self.push(spelling, &value);
        Ok(())
    }
}

/// A name with a capital at each word, as most messages have it.
pub fn in_usual_form(name: &str) -> Vec<u8> {
    let mut before = b'-';
    let capital = |byte: u8| if std::mem::replace(&mut before, byte) == b'-' { byte.to_ascii_uppercase() } else { byte };
    name.bytes().map(capital).collect()
}

#[cfg(test)]
mod tests {
    use ::http::header::{COOKIE, SET_COOKIE};

    use super::*;
    use crate::http::edits::Edits;

    #[test]
    fn edited_lines_keep_their_spelling_and_others_their_bytes() {
        let mut lines = Lines::read(b"cOOkie: a=1\r\nX-Odd:\t\"b\" \r\nCookie: b\r\n\r\n").unwrap();
        let mut edits = Edits::default();
        edits.set(COOKIE, HeaderValue::from_static("c"));
        edits.append(SET_COOKIE, HeaderValue::from_static("d"));
        edits.set_as_written("x-odd2", HeaderValue::from_static("e"));
        edits.apply(&mut lines).unwrap();
        let mut out = Vec::new();
        lines.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "X-Odd: \"b\"\r\ncOOkie: c\r\nSet-Cookie: d\r\nx-odd2: e\r\n");
        assert_eq!(lines.to_map().get(COOKIE).unwrap(), "c");
    }
}
