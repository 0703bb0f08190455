//! A configuration as a tree with positions. Scalars stay text: the grammar decides what a plain `200` or `on` means.
//! The tree knows nothing about the expected fields.

use super::errors::{Findings, Location};
use super::path::{PathId, Paths};
use super::text::quoted;
use super::vocabulary::Found;

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Location,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing after the colon, `~` or `null`.
    Null,
    Scalar(String, Style),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    Plain,
    Quoted,
}

/// A key of a map with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Location,
    pub(crate) key: String,
    pub(crate) value: Node,
}

impl Node {
    /// A text from the program (a default), as if it were written at `at`.
    pub(crate) fn literal(text: &str, at: Location) -> Self {
        if let Some(value) = Value::of_word(text) {
            return Self { at, value };
        }
        let node = Self::parse(text, &mut Findings::default());
        node.map_or(Self { at, value: Value::Null }, |node| node.moved(at))
    }

    /// A map with one key, at the location of `value`.
    pub(crate) fn map(key: &str, value: Self) -> Self {
        let at = value.at;
        Self { at, value: Value::Map(vec![Entry { at, key: key.to_owned(), value }]) }
    }

    /// The value of this key, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Value::Null | Value::Scalar(..) | Value::List(_) => None,
        }
    }

    /// A description of this node, for a message.
    pub(crate) fn found(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar(text, _) => quoted(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// This node where something else is expected.
    pub(crate) fn unexpected(&self) -> Found<'_> {
        match &self.value {
            Value::Null => Found::Nothing,
            Value::Scalar(text, _) => Found::Word(text),
            Value::List(_) => Found::List,
            Value::Map(_) => Found::Map,
        }
    }

    fn moved(self, at: Location) -> Self {
        let value = match self.value {
            Value::List(items) => Value::List(items.into_iter().map(|item| item.moved(at)).collect()),
            Value::Map(entries) => {
                Value::Map(entries.into_iter().map(|entry| Entry { at, value: entry.value.moved(at), ..entry }).collect())
            }
            scalar @ (Value::Null | Value::Scalar(..)) => scalar,
        };
        Self { at, value }
    }

    /// The same node as the value of another field, for an alias.
    pub(crate) fn under(self, path: PathId, paths: &mut Paths) -> Self {
        let value = match self.value {
            Value::List(items) => {
                let items = items.into_iter().enumerate();
                Value::List(items.map(|(nth, item)| item.under(paths.item(path, nth), paths)).collect())
            }
            Value::Map(entries) => Value::Map(entries.into_iter().map(|entry| entry.under(path, paths)).collect()),
            scalar @ (Value::Null | Value::Scalar(..)) => scalar,
        };
        Self { at: Location { path, ..self.at }, value }
    }

    /// The number of nodes.
    pub(crate) fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(..) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.size()).sum::<usize>(),
        }
    }

    /// How deeply collections are nested.
    pub(crate) fn depth(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(..) => 0,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }
}

impl Value {
    /// The value of a plain word such as `10s`, and of `{}` and `[]`: nearly all defaults, of which every record needs many.
    fn of_word(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'%' | b'_' | b'/');
        match text {
            "{}" => Some(Self::Map(Vec::new())),
            "[]" => Some(Self::List(Vec::new())),
            "" | "null" | "Null" | "NULL" => None,
            word => word.bytes().all(plain).then(|| Self::Scalar(word.to_owned(), Style::Plain)),
        }
    }
}

impl Entry {
    /// This entry as a field that its map does not have.
    pub(crate) fn unexpected(&self) -> Found<'_> {
        match &self.value.value {
            Value::Scalar(text, _) => Found::Field { value: text },
            Value::Null | Value::List(_) | Value::Map(_) => Found::Field { value: "" },
        }
    }

    fn under(self, parent: PathId, paths: &mut Paths) -> Self {
        let path = paths.field(parent, &self.key);
        Self { at: Location { path, ..self.at }, value: self.value.under(path, paths), key: self.key }
    }
}
