//! Attributes without a field of their own, sent as written.

use super::attributes::{MAX_LENGTH, is_attribute_character};

/// An attribute that Burdock does not know, such as `Priority=High`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtraAttribute(Box<str>);

/// Why a text is not a valid extra attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidExtraAttribute {
    #[error("an attribute is a name, or a name and a value such as Priority=High")]
    NoName,
    #[error("{0:?} is not allowed in an attribute (printable ASCII without ';')")]
    Character(char),
    #[error("an attribute has at most {MAX_LENGTH} characters")]
    TooLong,
    #[error("{attribute} has a field of its own: write `{field}`")]
    Known { attribute: &'static str, field: &'static str },
}

impl ExtraAttribute {
    /// Parses an attribute as the user wrote it. Surrounding white space is dropped.
    ///
    /// # Errors
    /// [`InvalidExtraAttribute`] if it is not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidExtraAttribute> {
        const KNOWN: [(&str, &str); 8] = [
            ("Path", "path"),
            ("Domain", "domain"),
            ("Max-Age", "max_age"),
            ("Expires", "max_age"),
            ("Secure", "secure"),
            ("HttpOnly", "http_only"),
            ("SameSite", "same_site"),
            ("Partitioned", "partitioned"),
        ];
        if let Some(bad) = text.chars().find(|&c| !is_attribute_character(c)) {
            return Err(InvalidExtraAttribute::Character(bad));
        }
        let text = text.trim();
        let name = text.split('=').next().unwrap_or_default().trim_end();
        if name.is_empty() {
            return Err(InvalidExtraAttribute::NoName);
        }
        if let Some(&(attribute, field)) = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Err(InvalidExtraAttribute::Known { attribute, field });
        }
        if text.len() > MAX_LENGTH {
            return Err(InvalidExtraAttribute::TooLong);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_attribute_is_a_name_with_or_without_a_value() {
        for text in ["Priority=High", "x", "a = b c=d", "Secured", "Path-x=/"] {
            assert_eq!(ExtraAttribute::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(ExtraAttribute::parse(" x ").unwrap().as_str(), "x");
        for text in ["", " ", "=High", " = x"] {
            assert_eq!(ExtraAttribute::parse(text), Err(InvalidExtraAttribute::NoName), "{text:?}");
        }
        assert_eq!(ExtraAttribute::parse("a; Domain=x"), Err(InvalidExtraAttribute::Character(';')));
        assert_eq!(ExtraAttribute::parse("a\r\nb"), Err(InvalidExtraAttribute::Character('\r')));
        assert_eq!(ExtraAttribute::parse("ä"), Err(InvalidExtraAttribute::Character('ä')));
        assert_eq!(ExtraAttribute::parse(&"a".repeat(1025)), Err(InvalidExtraAttribute::TooLong));
    }

    #[test]
    fn an_attribute_with_a_field_of_its_own_is_not_extra() {
        let field = |text| match ExtraAttribute::parse(text) {
            Err(InvalidExtraAttribute::Known { field, .. }) => field,
            other => panic!("{text}: {other:?}"),
        };
        let written = ["path=/x", "DOMAIN", "Max-Age = 3", "expires=0", "Secure", "httponly", "SameSite=Lax", "partitioned"];
        let fields = ["path", "domain", "max_age", "max_age", "secure", "http_only", "same_site", "partitioned"];
        assert_eq!(written.map(field), fields);
        let error = ExtraAttribute::parse("secure").unwrap_err();
        assert_eq!(error.to_string(), "Secure has a field of its own: write `secure`");
    }
}
