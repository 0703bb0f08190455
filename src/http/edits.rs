//! Changes of a message's headers: values in one ordered list. Each step that decides on a change adds it; an engine applies the list
//! once, from its beginning to its end. It knows neither why a header changes nor whose message it is.

use ::http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

/// One change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Edit {
    /// All lines of this name go.
    Remove(HeaderName),
    /// This line takes the place of all lines of its name.
    Set(Spelling, HeaderValue),
    /// These lines take the place of all lines of this name.
    Replace(HeaderName, Vec<HeaderValue>),
    /// This line is added behind the others.
    Append(HeaderName, HeaderValue),
}

/// A header's name as it is to be written, where the engine keeps spellings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Spelling {
    /// As its name is usually written.
    Usual(HeaderName),
    AsWritten(&'static str),
}

/// Changes, in the order in which they are applied.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Edits(SmallVec<[Edit; 4]>);

/// Headers of an engine's own type.
pub trait EditHeaders {
    /// Why a line cannot be written.
    type Error;

    fn remove(&mut self, name: &HeaderName);

    /// # Errors
    /// Where the line cannot be written.
    fn set(&mut self, name: Spelling, value: HeaderValue) -> Result<(), Self::Error>;

    /// # Errors
    /// Where the line cannot be written.
    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error>;
}

impl Edits {
    pub fn remove(&mut self, name: HeaderName) {
        self.0.push(Edit::Remove(name));
    }

    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(Edit::Set(Spelling::Usual(name), value));
    }

    pub fn set_as_written(&mut self, name: &'static str, value: HeaderValue) {
        self.0.push(Edit::Set(Spelling::AsWritten(name), value));
    }

    pub fn replace(&mut self, name: HeaderName, lines: Vec<HeaderValue>) {
        self.0.push(Edit::Replace(name, lines));
    }

    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(Edit::Append(name, value));
    }

    /// Whether all lines of this name go, by an edit of its own.
    pub fn removes(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|edit| matches!(edit, Edit::Remove(removed) if removed == name))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Edit> {
        self.0.iter()
    }

    /// Applies all of them.
    ///
    /// # Errors
    /// The first line that cannot be written.
    pub fn apply<H: EditHeaders>(self, headers: &mut H) -> Result<(), H::Error> {
        self.0.into_iter().try_for_each(|edit| match edit {
            Edit::Remove(name) => {
                headers.remove(&name);
                Ok(())
            }
            Edit::Set(name, value) => headers.set(name, value),
            Edit::Replace(name, lines) => {
                headers.remove(&name);
                lines.into_iter().try_for_each(|value| headers.append(name.clone(), value))
            }
            Edit::Append(name, value) => headers.append(name, value),
        })
    }
}

/// The plain map, which keeps no spellings: for tests and for explaining what would be sent.
impl EditHeaders for ::http::HeaderMap {
    type Error = ::http::header::InvalidHeaderName;

    fn remove(&mut self, name: &HeaderName) {
        Self::remove(self, name);
    }

    fn set(&mut self, name: Spelling, value: HeaderValue) -> Result<(), Self::Error> {
        let name = match name {
            Spelling::Usual(name) => name,
            Spelling::AsWritten(name) => HeaderName::from_bytes(name.as_bytes())?,
        };
        self.insert(name, value);
        Ok(())
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error> {
        Self::append(self, name, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ::http::HeaderMap;
    use ::http::header::{COOKIE, SET_COOKIE};

    use super::*;

    #[test]
    fn edits_apply_in_order() {
        let value = HeaderValue::from_static;
        let mut headers = HeaderMap::from_iter([(COOKIE, value("a=1")), (COOKIE, value("b=2"))]);
        let mut edits = Edits::default();
        edits.set_as_written("X-Real", value("one"));
        edits.remove(COOKIE);
        edits.set(COOKIE, value("c=3"));
        edits.replace(SET_COOKIE, vec![value("d=4")]);
        edits.append(SET_COOKIE, value("e=5"));
        assert!(edits.removes(&COOKIE) && !edits.removes(&SET_COOKIE));
        edits.apply(&mut headers).unwrap();
        let all = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!((all("x-real"), all("cookie"), all("set-cookie")), (vec!["one"], vec!["c=3"], vec!["d=4", "e=5"]));
    }
}
