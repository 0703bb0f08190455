//! YAML text → [`Node`]s. Uses the parser's events, not its tree, so that all duplicate keys are reported with both
//! lines, and depth and aliases are limited before they cost anything.

use std::collections::HashMap;
use std::collections::hash_map;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::errors::{Fault, Findings, Location, Position};
use super::path::PathId;
use super::text::quoted;
use super::tree::{Entry, Node, Style, Value};

/// Deeper than any configuration, and low enough that recursion does not overflow the stack.
const MAX_DEPTH: usize = 40;
/// The most nodes that aliases may add, so that a few lines cannot expand to gigabytes.
const MAX_ALIASED: usize = 100_000;

impl Node {
    /// Parses a text with one document. Duplicate keys become faults, and the rest is still read.
    ///
    /// # Errors
    /// The first syntax error.
    pub(crate) fn parse(text: &str, findings: &mut Findings) -> Result<Self, Fault> {
        let mut builder = Builder { findings, open: Vec::new(), anchors: HashMap::new(), aliased: 0, root: None };
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| syntax(&error))?;
            builder.take(event, position(span.start))?;
        }
        let start = Location { position: Position { line: 1, column: 1 }, path: PathId::default() };
        Ok(builder.root.unwrap_or(Self { at: start, value: Value::Null }))
    }
}

struct Builder<'f> {
    findings: &'f mut Findings,
    /// Collections that have not ended.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    root: Option<Node>,
}

struct Open {
    node: Node,
    anchor: usize,
    /// In a map: the key whose value comes next. None for a key that is not a scalar.
    key: Option<(Location, Option<String>)>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, position: Position) -> Result<(), Fault> {
        let at = Location { position, path: self.path() };
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(fault(position, "a second document starts here, but a file contains only one"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let node = Node { at, value: scalar(text.into_owned(), style) };
                self.close(node, anchor);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => self.open(Value::List(Vec::new()), anchor, tag.as_deref(), at),
            Event::MappingStart(anchor, tag) => self.open(Value::Map(Vec::new()), anchor, tag.as_deref(), at),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { mut node, anchor, .. }) = self.open.pop() {
                    if let Value::Map(entries) = &mut node.value {
                        drop_duplicates(entries, self.findings);
                    }
                    self.close(node, anchor);
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(_) | Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, value: Value, anchor: usize, tag: Option<&Tag>, at: Location) -> Result<(), Fault> {
        self.refuse_tag(tag, at);
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at.position));
        }
        self.open.push(Open { node: Node { at, value }, anchor, key: None });
        Ok(())
    }

    /// The path of the next node: an item of a list, the value of a key, or a key, which has the path of its map.
    fn path(&mut self) -> PathId {
        match self.open.last() {
            None => PathId::default(),
            Some(Open { node: Node { at, value: Value::List(items) }, .. }) => {
                self.findings.paths.item(at.path, items.len())
            }
            Some(Open { key: Some((at, _)), .. }) => at.path,
            Some(Open { node, .. }) => node.at.path,
        }
    }

    /// Adds a complete node to its parent.
    fn close(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                None => open.key = Some(key(node, self.findings)),
                Some((at, Some(key))) => entries.push(Entry { at, key, value: node }),
                Some((_, None)) => {}
            },
            Value::Null | Value::Scalar(..) => {}
        }
    }

    fn alias(&mut self, anchor: usize, at: Location) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(fault(at.position, "an alias is inside the value that it refers to"));
        };
        self.aliased += node.size();
        if self.aliased > MAX_ALIASED {
            return Err(fault(at.position, "the aliases of this file expand to too many values"));
        }
        if self.open.len() + node.depth() > MAX_DEPTH {
            return Err(too_deep(at.position));
        }
        let node = node.under(at.path, &mut self.findings.paths);
        self.close(node, 0);
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Location) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.findings.fault(at, format!("expected a value without a tag, found {}", quoted(&tag.to_string())));
        }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    match style {
        ScalarStyle::Plain if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        ScalarStyle::Plain => Value::Scalar(text, Style::Plain),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted | ScalarStyle::Literal | ScalarStyle::Folded => {
            Value::Scalar(text, Style::Quoted)
        }
    }
}

/// A key, with the location of its value.
fn key(node: Node, findings: &mut Findings) -> (Location, Option<String>) {
    match node.value {
        Value::Scalar(text, _) => (findings.missing_field(node.at, &text), Some(text)),
        Value::Null | Value::List(_) | Value::Map(_) => {
            let help = "a text in brackets needs quotes, such as \"[::]:8080\"";
            findings.fault_with_help(node.at, format!("expected a name for a key, found {}", node.found()), help);
            (node.at, None)
        }
    }
}

/// Keeps the first entry of each key. All keys of a map are compared at once, since a map may have many thousands.
fn drop_duplicates(entries: &mut Vec<Entry>, findings: &mut Findings) {
    let mut first: HashMap<&str, Location, rustc_hash::FxBuildHasher> = HashMap::default();
    let mut is_first = Vec::with_capacity(entries.len());
    for entry in entries.iter() {
        match first.entry(&entry.key) {
            hash_map::Entry::Vacant(place) => {
                place.insert(entry.at);
                is_first.push(true);
            }
            hash_map::Entry::Occupied(earlier) => {
                findings.fault(entry.at, format!("duplicate field, first on line {}", earlier.get().line()));
                is_first.push(false);
            }
        }
    }
    let mut is_first = is_first.into_iter();
    entries.retain(|_| is_first.next().unwrap_or(true));
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// What to do about the commonest messages of the parser.
const SYNTAX_HELP: [(&str, &str); 3] = [
    ("unknown anchor", "a text that begins with * needs quotes: \"*.example.com\""),
    ("tabs disallowed", "indent with spaces"),
    (
        "mapping values are not allowed",
        "begin all fields of a map in the same column, and write a text with a colon in quotes",
    ),
];

fn syntax(error: &ScanError) -> Fault {
    let help = SYNTAX_HELP.iter().find(|(part, _)| error.info().contains(part)).map(|(_, help)| (*help).to_owned());
    Fault { help, ..fault(position(*error.marker()), &format!("this is not YAML: {}", error.info())) }
}

fn fault(at: Position, message: &str) -> Fault {
    Fault { at, path: String::new(), message: message.to_owned(), help: None }
}

fn too_deep(at: Position) -> Fault {
    fault(at, "values are nested too deeply here")
}

#[cfg(test)]
mod tests {
    use super::super::errors::Errors;
    use super::*;

    fn faults(text: &str) -> String {
        let mut findings = Findings::default();
        match Node::parse(text, &mut findings) {
            Err(fault) => Errors::one("f", fault).to_string(),
            Ok(_) => findings.into_result("f").map_or_else(|errors| errors.to_string(), |_| String::new()),
        }
    }

    #[test]
    fn a_duplicate_key_is_reported_with_both_lines() {
        assert_eq!(faults("a: 1\nb: 2\na: 3\n"), "f:3:1: a: duplicate field, first on line 1");
    }

    #[test]
    fn the_value_of_an_alias_has_the_line_of_its_anchor() {
        let mut findings = Findings::default();
        let node = Node::parse("a: &x [one]\nb: *x\n", &mut findings).unwrap();
        let Value::Map(entries) = node.value else { panic!("no map") };
        assert_eq!(entries[1].at.line(), 2);
        assert_eq!(entries[1].value.at.line(), 1);
    }

    #[test]
    fn depth_and_aliases_are_limited() {
        assert!(faults(&"- ".repeat(100_000)).contains("nested too deeply"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let again = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{again}]\n"));
        }
        assert!(faults(&bomb).contains("too many"));
        assert!(faults("a: &a [*a]\n").contains("inside the value that it refers to"));
    }

    #[test]
    fn an_alias_has_the_path_of_its_use_and_the_line_of_its_anchor() {
        let mut findings = Findings::default();
        let node = Node::parse("a: &x {b: [1]}\nc: *x\n", &mut findings).unwrap();
        let Some(Value::List(items)) = node.get("c").and_then(|c| c.get("b")).map(|b| &b.value) else { panic!("a list") };
        assert_eq!((findings.paths.text(items[0].at.path).as_str(), items[0].at.line()), ("c.b[0]", 1));
    }

    #[test]
    fn unsupported_yaml_is_refused() {
        assert!(faults("a: 1\n---\nb: 2\n").contains("second document"));
        assert!(faults("[1, 2]: 3\n").contains("a name for a key, found a list"));
        assert!(faults("a: !thing 3\n").contains("tag"));
        assert!(faults("hosts: [*.example.com]\n").contains("needs quotes"));
    }
}
