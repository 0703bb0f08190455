//! Maps with named fields. [`record!`] declares one. The declaration gives the reader, the check for unknown fields,
//! the defaults, and the JSON Schema with its descriptions.

use serde_json::{Map, json};

use super::errors::{Findings, Location};
use super::read::{ListOf, Read};
use super::text::{any_of, nearest};
use super::tree::{Node, Value};

/// Declares a record: `"its description" => [struct] Name { /// description \n field: Grammar = "default as written",
/// }`. With `struct` this defines the type, with fields of the types that the grammars return; without, the type exists
/// and has such fields. A field without a default is required, unless its grammar is an `Option`.
macro_rules! record {
    ($what:literal => struct $name:ident {
        $($(#[doc = $doc:literal])* $field:ident: $grammar:ty $(= $default:literal)?,)*
    }) => {
        #[derive(Debug)]
        pub(crate) struct $name {
            $($(#[doc = $doc])* pub(crate) $field: <$grammar as $crate::config::schema::read::Read>::Value,)*
        }
        record! { $what => $name { $($(#[doc = $doc])* $field: $grammar $(= $default)?,)* } }
    };
    ($what:literal => $name:ident {
        $($(#[doc = $doc:literal])* $field:ident: $grammar:ty $(= $default:literal)?,)*
    }) => {
        impl $crate::config::schema::read::Read for $name {
            type Value = Self;

            fn read(
                node: &$crate::config::schema::tree::Node,
                findings: &mut $crate::config::schema::errors::Findings,
            ) -> Option<Self> {
                let fields = $crate::config::schema::map::Fields::of(node, $what, &[$(stringify!($field)),*], findings)?;
                $(let $field = fields.read::<$grammar>(stringify!($field), record!(@default $($default)?), findings);)*
                Some(Self { $($field: $field?,)* })
            }

            fn schema() -> serde_json::Value {
                let mut properties = $crate::config::schema::map::Properties::default();
                $(properties.add::<$grammar>(stringify!($field), &[$($doc),*], record!(@default $($default)?));)*
                properties.schema()
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(crate) use record;

/// The fields of a map, all with known names.
pub(crate) struct Fields<'n> {
    at: Location,
    node: &'n Node,
}

impl<'n> Fields<'n> {
    /// None if this is not a map. Unknown fields become faults.
    pub(crate) fn of(node: &'n Node, what: &'static str, known: &[&'static str], findings: &mut Findings) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let message = format!("expected a map ({what}), found {}", node.found());
            findings.unexpected(node.at, node.unexpected(), message, None);
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.iter().any(|name| plain(name) == entry.key)) {
            let names = || known.iter().map(|name| plain(name));
            let help = match nearest(&entry.key, names()) {
                Some(name) => format!("did you mean {name}?"),
                None if known.is_empty() => "there are no fields here".to_owned(),
                None => format!("the fields are {}", any_of(names()).replace(" or ", " and ")),
            };
            findings.unexpected(entry.at, entry.unexpected(), "unknown field", Some(help));
        }
        Some(Self { at: node.at, node })
    }

    /// The value of a field. An invalid value is a fault and counts as missing, so that the rest can still be checked.
    pub(crate) fn read<R: Read>(&self, name: &str, default: Option<&str>, findings: &mut Findings) -> Option<R::Value> {
        let written = self.node.get(plain(name));
        let default_value = |findings: &mut Findings| match default {
            Some(text) => {
                let at = findings.missing_field(self.at, plain(name));
                R::read(&Node::literal(text, at), findings)
            }
            None => R::absent(),
        };
        if let Some(node) = written {
            return R::read(node, findings).or_else(|| default_value(findings));
        }
        let value = default_value(findings);
        if value.is_none() {
            findings.missing(self.at, plain(name));
        }
        value
    }
}

/// A builder for the JSON Schema of a record.
#[derive(Default)]
pub(crate) struct Properties {
    properties: Map<String, serde_json::Value>,
    required: Vec<String>,
}

impl Properties {
    pub(crate) fn add<R: Read>(&mut self, name: &str, description: &[&str], default: Option<&str>) {
        let name = plain(name).to_owned();
        let mut schema = described(R::schema(), description);
        match (default, &mut schema) {
            (Some(text), serde_json::Value::Object(schema)) => {
                schema.insert("default".to_owned(), json(&Node::literal(text, Location::default())));
            }
            (None, _) if R::absent().is_none() => self.required.push(name.clone()),
            (Some(_) | None, _) => {}
        }
        self.properties.insert(name, schema);
    }

    pub(crate) fn schema(self) -> serde_json::Value {
        let mut schema = json!({"type": "object", "properties": self.properties, "additionalProperties": false});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        schema
    }
}

/// Adds the text of a doc comment to a schema.
pub(crate) fn described(mut schema: serde_json::Value, description: &[&str]) -> serde_json::Value {
    let text = description.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    if !text.is_empty() {
        schema["description"] = json!(text);
    }
    schema
}

/// A map without fields: something without settings.
#[derive(Debug)]
pub(crate) struct Empty;

impl Read for Empty {
    type Value = Self;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        Fields::of(node, "this", &[], findings).map(|_| Self)
    }

    fn schema() -> serde_json::Value {
        Properties::default().schema()
    }
}

/// A record with a short form.
pub(crate) trait Shortened: Read {
    /// The grammar of the short form.
    type Short: Read;

    /// Expands the short form to the record. None, and a fault, if there is no such short form.
    fn expand(short: &Node, findings: &mut Findings) -> Option<Node>;
}

/// A record or its short form, which is a scalar.
pub(crate) struct OrShort<R>(R);

impl<R: Shortened> Read for OrShort<R> {
    type Value = R::Value;

    fn read(node: &Node, findings: &mut Findings) -> Option<R::Value> {
        match &node.value {
            Value::Scalar(..) => R::read(&R::expand(node, findings)?, findings),
            Value::Map(_) | Value::Null | Value::List(_) => R::read(node, findings),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [R::Short::schema(), R::schema()]})
    }
}

/// One value, or a list of them.
pub(crate) struct OneOrMore<R>(R);

impl<R: Read> Read for OneOrMore<R> {
    type Value = Vec<R::Value>;

    fn read(node: &Node, findings: &mut Findings) -> Option<Self::Value> {
        match &node.value {
            Value::Scalar(..) => R::read(node, findings).map(|one| vec![one]),
            Value::List(_) | Value::Map(_) | Value::Null => ListOf::<R>::read(node, findings),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [R::schema(), ListOf::<R>::schema()]})
    }
}

/// A field's name without the `r#` for Rust keywords.
fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// A default as JSON.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Scalar(text, _) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect(),
    }
}
