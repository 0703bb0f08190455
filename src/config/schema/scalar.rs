//! Generic scalars: booleans, whole numbers within bounds, paths, and words that mean "no value".

use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::json;

use super::errors::Findings;
use super::read::{Hint, Kind, Leaf, Read};
use super::tree::{Node, Style, Value};

/// `true` or `false`.
pub(crate) struct Bool;

/// A whole number from `MIN` to `MAX`.
pub(crate) struct Int<T, const MIN: u64, const MAX: u64>(PhantomData<T>);

/// An absolute path: relative ones would depend on the working directory.
pub(crate) struct AbsolutePath;

/// What `R` reads, or `none`.
pub(crate) struct OrNone<R>(R);

/// What `R` reads, or `auto`.
pub(crate) struct OrAuto<R>(R);

/// What `R` reads, or `omit`.
pub(crate) struct OrOmit<R>(R);

impl Leaf for Bool {
    type Value = bool;
    const EXPECTED: &'static str = "true or false";
    const KIND: Kind = Kind::Bare;

    fn parse(text: &str) -> Result<bool, Hint> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(match &*other.to_ascii_lowercase() {
                "on" | "yes" | "y" | "true" | "1" => Hint::by("write true"),
                "off" | "no" | "n" | "false" | "0" | "none" => Hint::by("write false"),
                _ => Hint::unknown(),
            }),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "boolean"})
    }
}

impl<T: FromStr, const MIN: u64, const MAX: u64> Leaf for Int<T, MIN, MAX> {
    type Value = T;
    const EXPECTED: &'static str = "a number";
    const KIND: Kind = Kind::Bare;

    fn parse(text: &str) -> Result<T, Hint> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|number| digits && (MIN..=MAX).contains(number));
        number.and_then(|number| number.to_string().parse().ok()).ok_or_else(Hint::unknown)
    }

    fn schema() -> serde_json::Value {
        json!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }

    fn expected() -> String {
        format!("{MIN} to {MAX}")
    }
}

impl Leaf for AbsolutePath {
    type Value = PathBuf;
    const EXPECTED: &'static str = "an absolute path such as /etc/burdock/keys/first";

    fn parse(text: &str) -> Result<PathBuf, Hint> {
        if text.starts_with('/') && !text.contains('\0') {
            Ok(text.into())
        } else {
            Err(Hint::by("write a path that starts with /"))
        }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^/"})
    }
}

/// Reads `word` as None and everything else by `R`.
fn read_or<R: Read>(word: &str, node: &Node, findings: &mut Findings) -> Option<Option<R::Value>> {
    match &node.value {
        Value::Scalar(text, Style::Plain) if text == word => Some(None),
        Value::Scalar(..) | Value::List(_) | Value::Map(_) => R::read(node, findings).map(Some),
        Value::Null => {
            findings.fault_with_help(node.at, "expected a value, found nothing", format!("write {word}"));
            None
        }
    }
}

impl<R: Read> Read for OrNone<R> {
    type Value = Option<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        read_or::<R>("none", node, findings)
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [{"const": "none"}, R::schema()]})
    }
}

impl<R: Read> Read for OrAuto<R> {
    type Value = Option<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        read_or::<R>("auto", node, findings)
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [{"const": "auto"}, R::schema()]})
    }
}

impl<R: Read> Read for OrOmit<R> {
    type Value = Option<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        read_or::<R>("omit", node, findings)
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [{"const": "omit"}, R::schema()]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_has_no_sign_and_no_base() {
        assert_eq!(Int::<u8, 1, 16>::parse("16").unwrap(), 16);
        for wrong in ["0", "17", "+1", "-1", "0x10", "1.0", "1_000", ""] {
            assert!(Int::<u8, 1, 16>::parse(wrong).is_err(), "{wrong}");
        }
    }
}
