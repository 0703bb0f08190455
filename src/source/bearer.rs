//! Claims of the JSON Web Token (RFC 7519) in `Authorization: Bearer TOKEN` (RFC 6750 2.1).
//!
//! They are read and **not verified**: neither signature nor dates are looked at, and anybody can write a token that claims
//! what he likes. That is enough to send the requests of one name to one server, and must never be what lets somebody in:
//! verifying is the server's. What is read is bounded, whatever the client sends.

use std::borrow::Cow;
use std::fmt;

use base64_simd::URL_SAFE_NO_PAD;
use memchr::memchr_iter;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// The longest token looked into, in octets.
const LONGEST: usize = 8 * 1024;

/// How deep arrays and objects may stand in each other, the one that holds the claims included.
const DEEPEST: usize = 8;

/// The claim of this name that the token of an Authorization header makes, if it is a string or a whole number (of 64 bits),
/// which is given in decimal. None for all else: another scheme, a token that is encrypted, too long or not well formed, JSON
/// that is broken or too deep, a claim of another kind. Of a claim that is there twice the last counts, as it does for
/// JavaScript (RFC 7519 4 leaves only this or refusing such tokens).
pub fn claim(authorization: &[u8], name: &str) -> Option<String> {
    let token = token(authorization).filter(|token| token.len() <= LONGEST)?;
    let json = URL_SAFE_NO_PAD.decode_to_vec(payload(token)?).ok()?;
    if !is_shallow(&json) {
        return None;
    }
    let mut json = serde_json::Deserializer::from_slice(&json);
    let claim = json.deserialize_map(Claims { name }).ok()?;
    json.end().ok()?;
    claim
}

fn token(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// The middle one of a signed token's three parts. Encrypted ones have five.
fn payload(token: &[u8]) -> Option<&[u8]> {
    let mut dots = memchr_iter(b'.', token);
    match (dots.next(), dots.next(), dots.next()) {
        (Some(first), Some(second), None) => Some(&token[first + 1..second]),
        _ => None,
    }
}

/// Whether JSON stays within [`DEEPEST`]. What is no JSON may be called either; it is not read then.
fn is_shallow(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut rest = json.iter();
    while let Some(octet) = rest.next() {
        match octet {
            b'"' => skip_string(&mut rest),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return false;
        }
    }
    true
}

/// Goes behind the quote that ends a string.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(octet) = rest.next() {
        match octet {
            b'"' => return,
            b'\\' => _ = rest.next(),
            _ => {}
        }
    }
}

/// Looks for one claim and skips all others.
struct Claims<'n> {
    name: &'n str,
}

/// A member's name, which is borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Name<'j>(#[serde(borrow)] Cow<'j, str>);

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Claim {
    Text(String),
    Positive(u64),
    Negative(i64),
    Other(IgnoredAny),
}

impl<'j> Visitor<'j> for Claims<'_> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of claims")
    }

    fn visit_map<M: MapAccess<'j>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(Name(name)) = members.next_key()? {
            if name == self.name {
                found = members.next_value::<Claim>()?.text();
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

impl Claim {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Positive(number) => Some(number.to_string()),
            Self::Negative(number) => Some(number.to_string()),
            Self::Other(IgnoredAny) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn header(payload: &str) -> String {
        format!("Bearer eyJhbGciOiJSUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode_to_string(payload))
    }

    fn read(payload: &str) -> Option<String> {
        claim(header(payload).as_bytes(), "sub")
    }

    #[test]
    fn a_claim_is_a_string_or_a_whole_number() {
        assert_eq!(read(r#"{"iss":"a","sub":"ann","exp":1}"#).as_deref(), Some("ann"));
        assert_eq!(read(r#" { "sub" : 42 } "#).as_deref(), Some("42"));
        assert_eq!(read(r#"{"sub":-7}"#).as_deref(), Some("-7"));
        assert_eq!(read(r#"{"sub":18446744073709551615}"#).as_deref(), Some("18446744073709551615"));
        for other in ["1.5", "1e3", "true", "null", "[\"ann\"]", "{\"sub\":\"ann\"}", "18446744073709551616"] {
            assert_eq!(read(&format!(r#"{{"sub":{other}}}"#)), None, "{other}");
        }
    }

    #[test]
    fn only_the_top_level_counts_and_names_are_exact() {
        assert_eq!(read(r#"{"act":{"sub":"bob"},"Sub":"cid","x":"\"sub\":\"dan\""}"#), None);
        assert_eq!(read(r#"{"act":{"sub":"bob"},"sub":"ann"}"#).as_deref(), Some("ann"));
        assert_eq!(read(r#"{"s\u0075b":"\u0061nn"}"#).as_deref(), Some("ann"));
    }

    #[test]
    fn of_a_claim_that_is_there_twice_the_last_counts() {
        assert_eq!(read(r#"{"sub":"ann","sub":"bob"}"#).as_deref(), Some("bob"));
        assert_eq!(read(r#"{"sub":"ann","sub":null}"#), None);
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        let token = header(r#"{"sub":"ann"}"#).split_off("Bearer ".len());
        for scheme in ["Bearer ", "bearer ", "BEARER   "] {
            assert_eq!(claim(format!("{scheme}{token}").as_bytes(), "sub").as_deref(), Some("ann"), "{scheme:?}");
        }
        for scheme in ["Basic ", "Bearer", "", "Bearers ", "DPoP "] {
            assert_eq!(claim(format!("{scheme}{token}").as_bytes(), "sub"), None, "{scheme:?}");
        }
    }

    #[test]
    fn a_token_has_three_parts_and_its_payload_is_base64url_of_an_object() {
        let payload = URL_SAFE_NO_PAD.encode_to_string(r#"{"sub":"ann"}"#);
        assert!(
            claim(format!("Bearer h.{payload}.").as_bytes(), "sub").is_some(),
            "unsigned: the signature is not looked at"
        );
        for token in
            [payload.clone(), format!("h.{payload}"), format!("h.{payload}.k.t.s"), format!("h.{payload}=.s"), "..".into()]
        {
            assert_eq!(claim(format!("Bearer {token}").as_bytes(), "sub"), None, "{token}");
        }
        for broken in
            ["", "[]", "\"sub\"", "{", r#"{"sub":"ann""#, r#"{"sub":"ann"}}"#, r#"{"sub":"ann"} x"#, r#"{"sub":"ann","a":}"#]
        {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_looked_into() {
        let of_length = |length: usize| {
            let unpadded = header(r#"{"sub":"ann"}"#);
            format!("{unpadded}{}", "s".repeat("Bearer ".len() + length - unpadded.len()))
        };
        assert!(claim(of_length(8192).as_bytes(), "sub").is_some());
        assert!(claim(of_length(8193).as_bytes(), "sub").is_none());
    }

    #[test]
    fn what_is_too_deep_is_not_looked_into() {
        let nested = |depth: usize| format!(r#"{{"sub":"ann","a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(7)).is_some());
        assert!(read(&nested(8)).is_none());
        assert!(read(&nested(4_000)).is_none());
        let in_strings = r#"{"a":"[[[[[[[[[[\"{{{{{{{{{{","sub":"ann"}"#;
        assert!(read(in_strings).is_some(), "brackets in strings nest nothing");
        let side_by_side = format!(r#"{{"a":[{}],"sub":"ann"}}"#, vec!["{}"; 100].join(","));
        assert!(read(&side_by_side).is_some());
    }

    proptest! {
        #[test]
        fn every_string_is_read_as_it_was_written(name in "\\PC{0,12}", text in "\\PC{0,24}", other in "[a-z]{13}") {
            let payload = serde_json::json!({&other: {&name: 1}, &name: &text}).to_string();
            prop_assert_eq!(claim(header(&payload).as_bytes(), &name), Some(text));
        }

        #[test]
        fn reading_is_total_on_any_octets(header: Vec<u8>, payload: Vec<u8>, json in r#"[{}\[\]":,a1\\.-]{0,64}"#) {
            let _ = claim(&header, "a");
            for payload in [payload.as_slice(), json.as_bytes()] {
                let _ = claim(format!("Bearer h.{}.s", URL_SAFE_NO_PAD.encode_to_string(payload)).as_bytes(), "a");
            }
        }

        #[test]
        fn a_depth_that_is_let_through_is_the_depth_there_is(json in r#"([{]"a":|\[|["]\]\\\\["],|1,|[}\]]){0,24}"#) {
            fn depth(value: &Value) -> usize {
                match value {
                    Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
                    Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
                }
            }
            if let Ok(value) = serde_json::from_str(&json) {
                prop_assert_eq!(is_shallow(json.as_bytes()), depth(&value) <= DEEPEST);
            }
        }
    }
}
