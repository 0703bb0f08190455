//! Claims of the JSON Web Token (RFC 7519) in `Authorization: Bearer TOKEN` (RFC 6750 2.1).
//!
//! They are read and **not verified**: Burdock checks neither the signature nor the dates, so a client can claim
//! anything. This is enough to send the requests of one name to one server, but must never authorize a client: the
//! server verifies the token. The work is bounded, whatever the client sends.

use std::borrow::Cow;
use std::fmt;

use base64_simd::URL_SAFE_NO_PAD;
use memchr::memchr_iter;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// The longest token that is decoded, in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// How deeply arrays and objects may be nested, including the object of the claims.
const MAX_DEPTH: usize = 8;

/// The claim of this name in the token of an Authorization header, if it is a string or a 64-bit integer, which is
/// returned in decimal. None for everything else: another scheme, a token that is encrypted, too long or malformed,
/// JSON that is invalid or nested too deeply, a claim of another type. The last one of a repeated claim counts, as in
/// JavaScript (RFC 7519 4 allows this, or rejecting the token).
pub fn claim(authorization: &[u8], name: &str) -> Option<String> {
    let token = token(authorization).filter(|token| token.len() <= MAX_LENGTH)?;
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

/// The middle part of a signed token, which has three. Encrypted tokens have five.
fn payload(token: &[u8]) -> Option<&[u8]> {
    let mut dots = memchr_iter(b'.', token);
    match (dots.next(), dots.next(), dots.next()) {
        (Some(first), Some(second), None) => Some(&token[first + 1..second]),
        _ => None,
    }
}

/// Whether JSON is nested no deeper than [`MAX_DEPTH`]. For invalid JSON the result does not matter, as it is rejected
/// later.
fn is_shallow(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => skip_string(&mut rest),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

/// Skips to the end of a string.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = rest.next(),
            _ => {}
        }
    }
}

/// Finds one claim and skips all others.
struct Claims<'n> {
    name: &'n str,
}

/// The name of a member, borrowed unless it contains escapes.
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
    fn the_last_of_a_repeated_claim_counts() {
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
    fn a_token_has_three_parts_and_a_base64url_object() {
        let payload = URL_SAFE_NO_PAD.encode_to_string(r#"{"sub":"ann"}"#);
        assert!(claim(format!("Bearer h.{payload}.").as_bytes(), "sub").is_some(), "the signature is not checked");
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
    fn a_token_that_is_too_long_is_ignored() {
        let of_length = |length: usize| {
            let unpadded = header(r#"{"sub":"ann"}"#);
            format!("{unpadded}{}", "s".repeat("Bearer ".len() + length - unpadded.len()))
        };
        assert!(claim(of_length(8192).as_bytes(), "sub").is_some());
        assert!(claim(of_length(8193).as_bytes(), "sub").is_none());
    }

    #[test]
    fn a_token_that_is_too_deep_is_ignored() {
        let nested = |depth: usize| format!(r#"{{"sub":"ann","a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(7)).is_some());
        assert!(read(&nested(8)).is_none());
        assert!(read(&nested(4_000)).is_none());
        let in_strings = r#"{"a":"[[[[[[[[[[\"{{{{{{{{{{","sub":"ann"}"#;
        assert!(read(in_strings).is_some(), "brackets in strings do not count");
        let side_by_side = format!(r#"{{"a":[{}],"sub":"ann"}}"#, vec!["{}"; 100].join(","));
        assert!(read(&side_by_side).is_some());
    }

    proptest! {
        #[test]
        fn every_string_claim_is_read_unchanged(name in "\\PC{0,12}", text in "\\PC{0,24}", other in "[a-z]{13}") {
            let payload = serde_json::json!({&other: {&name: 1}, &name: &text}).to_string();
            prop_assert_eq!(claim(header(&payload).as_bytes(), &name), Some(text));
        }

        #[test]
        fn any_token_can_be_parsed(header: Vec<u8>, payload: Vec<u8>, json in r#"[{}\[\]":,a1\\.-]{0,64}"#) {
            let _ = claim(&header, "a");
            for payload in [payload.as_slice(), json.as_bytes()] {
                let _ = claim(format!("Bearer h.{}.s", URL_SAFE_NO_PAD.encode_to_string(payload)).as_bytes(), "a");
            }
        }

        #[test]
        fn the_depth_check_agrees_with_a_json_parser(json in r#"([{]"a":|\[|["]\]\\\\["],|1,|[}\]]){0,24}"#) {
            fn depth(value: &Value) -> usize {
                match value {
                    Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
                    Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
                }
            }
            if let Ok(value) = serde_json::from_str(&json) {
                prop_assert_eq!(is_shallow(json.as_bytes()), depth(&value) <= MAX_DEPTH);
            }
        }
    }
}
