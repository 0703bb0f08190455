//! Alternatives: words, or maps with one key. [`choice!`] declares them once, for reading and for the schema.

use serde_json::json;

use super::errors::Findings;
use super::read::Read;
use super::text::quoted;
use super::text::{any_of, nearest};
use super::tree::{Node, Value};
use super::vocabulary::Found;

/// Declares the alternatives of an existing type: `"description of the type" => Type { /// description \n word =>
/// value, }`. `word(Grammar) => function` is `{word: …}`, and the function gets its value. `word(Grammar = "text")`
/// allows both, and the word alone means `{word: text}`.
macro_rules! choice {
    ($what:literal => $name:ty {
        $($(#[doc = $doc:literal])* $word:ident $(($grammar:ty $(= $default:literal)?))? => $value:expr,)*
    }) => {
        impl $crate::config::schema::choice::Choice for $name {
            const WHAT: &'static str = $what;
            const FORMS: &'static [(&'static str, $crate::config::schema::choice::Form)] =
                &[$((stringify!($word), choice!(@form $(($grammar $(= $default)?))?))),*];
        }

        impl $crate::config::schema::read::Read for $name {
            type Value = Self;

            fn read(
                node: &$crate::config::schema::tree::Node,
                findings: &mut $crate::config::schema::errors::Findings,
            ) -> Option<Self> {
                let chosen = $crate::config::schema::choice::Chosen::of::<Self>(node, &[], findings)?;
                $(choice!(@arm chosen, findings, $word, $(($grammar $(= $default)?))?, $value);)*
                None
            }

            fn schema() -> serde_json::Value {
                let mut alternatives = $crate::config::schema::choice::Alternatives::default();
                $(choice!(@schema alternatives, $word, [$($doc),*], $(($grammar $(= $default)?))?);)*
                alternatives.schema()
            }
        }
    };
    (@form) => { $crate::config::schema::choice::Form::Word };
    (@form ($grammar:ty)) => { $crate::config::schema::choice::Form::Map };
    (@form ($grammar:ty = $default:literal)) => { $crate::config::schema::choice::Form::Either };
    (@arm $chosen:ident, $findings:ident, $word:ident, , $value:expr) => {
        if $chosen.is_word(stringify!($word)) {
            return Some($value);
        }
    };
    (@arm $chosen:ident, $findings:ident, $word:ident, ($grammar:ty $(= $default:literal)?), $value:expr) => {
        if let Some(node) = $chosen.content(stringify!($word), choice!(@default $($default)?)) {
            return <$grammar as $crate::config::schema::read::Read>::read(&node, $findings).map($value);
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@schema $alternatives:ident, $word:ident, [$($doc:literal),*], ) => {
        $alternatives.word(stringify!($word), &[$($doc),*]);
    };
    (@schema $alternatives:ident, $word:ident, [$($doc:literal),*], ($grammar:ty)) => {
        $alternatives.map::<$grammar>(stringify!($word), &[$($doc),*]);
    };
    (@schema $alternatives:ident, $word:ident, [$($doc:literal),*], ($grammar:ty = $default:literal)) => {
        $alternatives.word(stringify!($word), &[$($doc),*]);
        $alternatives.map::<$grammar>(stringify!($word), &[$($doc),*]);
    };
}
pub(crate) use choice;

/// A type with alternatives.
pub(crate) trait Choice: Read {
    /// Its description in messages.
    const WHAT: &'static str;
    const FORMS: &'static [(&'static str, Form)];
}

/// How an alternative is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Word,
    Map,
    Either,
}

/// The alternative that was written.
pub(crate) struct Chosen<'n> {
    node: &'n Node,
    name: &'n str,
    content: Option<&'n Node>,
}

impl<'n> Chosen<'n> {
    /// None, and a fault, unless it is one of the alternatives or one of `more`.
    pub(crate) fn of<C: Choice>(node: &'n Node, more: &[(&str, Form)], findings: &mut Findings) -> Option<Self> {
        let (what, forms) = (C::WHAT, &[C::FORMS, more].concat());
        let chosen = match &node.value {
            Value::Scalar(name, _) => Self { node, name, content: None },
            Value::Map(entries) if entries.len() == 1 => {
                Self { node, name: &entries[0].key, content: Some(&entries[0].value) }
            }
            Value::Map(_) | Value::List(_) | Value::Null => {
                let message = format!("expected {what}: {}, found {}", listed(forms), node.found());
                findings.unexpected(node.at, node.unexpected(), message, None);
                return None;
            }
        };
        if forms.iter().any(|&(name, form)| name == chosen.name && chosen.written_as(form)) {
            return Some(chosen);
        }
        let message = format!("expected {what}: {}, found {}", listed(forms), chosen.found());
        findings.unexpected(node.at, Found::Word(chosen.name), message, chosen.help(forms));
        None
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.content.is_none() && self.name == word
    }

    /// The value of `word`, or what the word alone means.
    pub(crate) fn content(&self, word: &str, default: Option<&str>) -> Option<Node> {
        if self.name != word {
            return None;
        }
        self.content.cloned().or_else(|| default.map(|text| Node::literal(text, self.node.at)))
    }

    fn written_as(&self, form: Form) -> bool {
        match form {
            Form::Word => self.content.is_none(),
            Form::Map => self.content.is_some(),
            Form::Either => true,
        }
    }

    fn found(&self) -> String {
        if self.content.is_some() { format!("{{{}: …}}", self.name) } else { quoted(self.name) }
    }

    fn help(&self, forms: &[(&str, Form)]) -> Option<String> {
        let name = nearest(self.name, forms.iter().map(|&(name, _)| name))?;
        let as_word = forms.iter().any(|&(other, form)| other == name && form != Form::Map);
        Some(if as_word { format!("write {name}") } else { format!("write {{{name}: …}}") })
    }
}

/// A builder for the JSON Schema of a choice.
#[derive(Default)]
pub(crate) struct Alternatives {
    words: Vec<serde_json::Value>,
    descriptions: Vec<String>,
    maps: Vec<serde_json::Value>,
}

impl Alternatives {
    pub(crate) fn word(&mut self, word: &str, description: &[&str]) {
        let description = description.concat();
        if !description.is_empty() {
            self.descriptions.push(format!("{word}: {}", description.trim()));
        }
        // `true` and `false` become booleans.
        self.words.push(word.parse().map_or_else(|_| json!(word), |flag: bool| json!(flag)));
    }

    pub(crate) fn map<R: Read>(&mut self, word: &str, description: &[&str]) {
        let content = crate::config::schema::map::described(R::schema(), description);
        self.maps.push(json!({
            "type": "object", "properties": {word: content}, "required": [word], "additionalProperties": false
        }));
    }

    pub(crate) fn schema(mut self) -> serde_json::Value {
        let mut words = json!({"enum": self.words});
        if !self.descriptions.is_empty() {
            words["description"] = json!(self.descriptions.join("; "));
        }
        match (self.words.is_empty(), self.maps.len()) {
            (false, 0) => words,
            (true, 1) => self.maps.remove(0),
            (true, _) => json!({"anyOf": self.maps}),
            (false, _) => {
                self.maps.insert(0, words);
                json!({"anyOf": self.maps})
            }
        }
    }
}

fn listed(forms: &[(&str, Form)]) -> String {
    let shown: Vec<String> = forms
        .iter()
        .map(|&(name, form)| match form {
            Form::Word | Form::Either => name.to_owned(),
            Form::Map => format!("{{{name}: …}}"),
        })
        .collect();
    any_of(shown.iter().map(String::as_str))
}
