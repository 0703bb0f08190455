//! How a part of the tree becomes a value. A type that implements [`Read`] is a grammar: it defines what may be
//! written, the value that it gives, and the JSON Schema for it.

use serde_json::json;

use super::errors::{Findings, Location};
use super::text::quoted;
use super::tree::{Entry, Node, Style, Value};
use super::vocabulary::Found;

/// A grammar: what may be written somewhere in the configuration.
pub(crate) trait Read {
    type Value;

    /// Reads a node. Errors become faults; None if they leave no value.
    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value>;

    /// The value of a missing field without a default; None if the field is required.
    fn absent() -> Option<Self::Value> {
        None
    }

    fn schema() -> serde_json::Value;
}

/// A reference to a schema that is used in several places, by its name in `$defs`.
pub(crate) fn defined(name: &str) -> serde_json::Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A grammar for a single scalar.
pub(crate) trait Leaf {
    type Value;
    /// What is expected, with an example: "a duration such as 30s".
    const EXPECTED: &'static str;
    const KIND: Kind = Kind::Text;

    /// # Errors
    /// A hint, if there is one.
    fn parse(text: &str) -> Result<Self::Value, Hint>;

    fn schema() -> serde_json::Value;

    fn expected() -> String {
        Self::EXPECTED.to_owned()
    }

    /// How an invalid text is shown: a number without quotes if a number is expected.
    fn shown(text: &str) -> String {
        match Self::KIND {
            Kind::Bare if text.parse::<f64>().is_ok() => text.to_owned(),
            Kind::Bare | Kind::Text => quoted(text),
        }
    }
}

/// Whether a leaf may be quoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Text,
    /// A number or a boolean: quotes would make it a string.
    Bare,
}

/// How to correct a text.
#[derive(Debug, Default)]
pub(crate) struct Hint(Option<String>);

/// A value, with its location.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<T> {
    pub(crate) at: Location,
    pub(crate) value: T,
    pub(crate) state: State,
}

/// Whether a value was read without faults. A flawed value is not checked against the rest of the configuration, since
/// its fault is reported already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    Sound,
    Flawed,
}

/// A list of `R`. Invalid items are faults and are skipped.
pub(crate) struct ListOf<R>(R);

/// A list that is not empty.
pub(crate) struct SomeOf<R>(R);

/// A map of names to `R`. An invalid value is None, so that its name is still known.
pub(crate) struct MapOf<K, R>(K, R);

impl Hint {
    pub(crate) fn unknown() -> Self {
        Self(None)
    }

    pub(crate) fn by(help: impl Into<String>) -> Self {
        Self(Some(help.into()))
    }
}

impl<E: std::error::Error> From<E> for Hint {
    fn from(error: E) -> Self {
        Self::by(error.to_string())
    }
}

impl<L: Leaf> Read for L {
    type Value = L::Value;

    fn read(node: &Node, findings: &mut Findings) -> Option<L::Value> {
        let Value::Scalar(text, style) = &node.value else {
            let message = format!("expected {}, found {}", L::expected(), node.found());
            findings.unexpected(node.at, node.unexpected(), message, None);
            return None;
        };
        if (L::KIND, style) == (Kind::Bare, &Style::Quoted) {
            let message = format!("expected {}, found {}", L::expected(), quoted(text));
            findings.fault_with_help(node.at, message, "remove the quotes");
            return None;
        }
        match L::parse(text) {
            Ok(value) => Some(value),
            Err(Hint(help)) => {
                let message = format!("expected {}, found {}", L::expected(), L::shown(text));
                findings.unexpected(node.at, Found::Word(text), message, help);
                None
            }
        }
    }

    fn schema() -> serde_json::Value {
        <L as Leaf>::schema()
    }
}

impl<R: Read> Read for At<R> {
    type Value = At<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<At<R::Value>> {
        let before = findings.faults();
        let value = R::read(node, findings)?;
        let state = if findings.faults() == before { State::Sound } else { State::Flawed };
        Some(At { at: node.at, value, state })
    }

    fn schema() -> serde_json::Value {
        R::schema()
    }
}

impl<R: Read> Read for Option<R> {
    type Value = Option<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        R::read(node, findings).map(Some)
    }

    fn absent() -> Option<Self::Value> {
        Some(None)
    }

    fn schema() -> serde_json::Value {
        R::schema()
    }
}

impl<R: Read> Read for ListOf<R> {
    type Value = Vec<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        let Value::List(items) = &node.value else {
            let message = format!("expected a list, found {}", node.found());
            let help = match &node.value {
                Value::Scalar(text, _) => Some(format!("for a list with one entry write [{text}]")),
                Value::Map(_) => Some("start each entry of a list with a dash".to_owned()),
                Value::Null | Value::List(_) => None,
            };
            findings.unexpected(node.at, node.unexpected(), message, help);
            return Some(Vec::new());
        };
        Some(items.iter().filter_map(|item| R::read(item, findings)).collect())
    }

    fn schema() -> serde_json::Value {
        json!({"type": "array", "items": R::schema()})
    }
}

impl<R: Read> Read for SomeOf<R> {
    type Value = Vec<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            findings.unexpected(node.at, Found::List, "expected at least one entry, found an empty list", None);
        }
        ListOf::<R>::read(node, findings)
    }

    fn schema() -> serde_json::Value {
        json!({"type": "array", "items": R::schema(), "minItems": 1})
    }
}

/// The key of a map as a name. Names are the user's own, so no other program has a word for them.
fn name<K: Leaf>(entry: &Entry, findings: &mut Findings) -> Option<At<K::Value>> {
    match K::parse(&entry.key) {
        Ok(value) => Some(At { at: entry.at, value, state: State::Sound }),
        Err(Hint(help)) => {
            let message = format!("expected {}, found {}", K::expected(), K::shown(&entry.key));
            match help {
                Some(help) => findings.fault_with_help(entry.at, message, help),
                None => findings.fault(entry.at, message),
            }
            None
        }
    }
}

impl<K: Leaf, R: Read> Read for MapOf<K, R> {
    type Value = Vec<(At<K::Value>, Option<R::Value>)>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        let Value::Map(entries) = &node.value else {
            let message = format!("expected a map, found {}", node.found());
            findings.unexpected(node.at, node.unexpected(), message, None);
            return None;
        };
        let mut read = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = name::<K>(entry, findings);
            let value = R::read(&entry.value, findings);
            read.extend(key.map(|key| (key, value)));
        }
        Some(read)
    }

    fn schema() -> serde_json::Value {
        json!({"type": "object", "propertyNames": <K as Leaf>::schema(), "additionalProperties": R::schema()})
    }
}
