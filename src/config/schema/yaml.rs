//! YAML text → [`Node`]s. Written on the parser's events, not on its tree: so all keys written twice are told, with both
//! lines, and depth and aliases are bounded before they cost anything.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::errors::{Fault, Findings, Position};
use super::tree::{Entry, Node, Style, Value, quoted};

/// Deeper than any configuration; it keeps the walk, which recurses, off the end of the stack.
const DEEPEST: usize = 40;
/// Nodes that aliases may add in all, against a few lines that unfold into gigabytes.
const MOST_ALIASED: usize = 100_000;

impl Node {
    /// Reads a text of one document. Keys written twice become faults, the rest is still read.
    ///
    /// # Errors
    /// The first thing that is no YAML.
    pub(crate) fn parse(text: &str, findings: &mut Findings) -> Result<Self, Fault> {
        let mut builder = Builder { findings, open: Vec::new(), anchors: HashMap::new(), aliased: 0, root: None };
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| syntax(&error))?;
            builder.take(event, position(span.start))?;
        }
        Ok(builder.root.unwrap_or(Self { at: Position { line: 1, column: 1 }, value: Value::Null }))
    }
}

struct Builder<'f> {
    findings: &'f mut Findings,
    /// Collections whose end has not come.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    root: Option<Node>,
}

struct Open {
    node: Node,
    anchor: usize,
    /// Of a map: the key that waits for its value. None for a key that is no text.
    key: Option<(Position, Option<String>)>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(fault(at, "a second document begins: one file is one document"))
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
                if let Some(Open { node, anchor, .. }) = self.open.pop() {
                    self.close(node, anchor);
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(_) | Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, value: Value, anchor: usize, tag: Option<&Tag>, at: Position) -> Result<(), Fault> {
        self.refuse_tag(tag, at);
        if self.open.len() >= DEEPEST {
            return Err(too_deep(at));
        }
        self.open.push(Open { node: Node { at, value }, anchor, key: None });
        Ok(())
    }

    /// Takes a node that is complete to where it belongs.
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
                Some((at, Some(key))) => insert(entries, Entry { at, key, value: node }, self.findings),
                Some((_, None)) => {}
            },
            Value::Null | Value::Scalar(..) => {}
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(fault(at, "an alias inside of what it stands for"));
        };
        self.aliased += node.size();
        if self.aliased > MOST_ALIASED {
            return Err(fault(at, "the aliases of this file unfold into too much"));
        }
        if self.open.len() + node.depth() > DEEPEST {
            return Err(too_deep(at));
        }
        self.close(node, 0);
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.findings.fault(at, format!("found the tag {}, expected a value without one", quoted(&tag.to_string())));
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

fn key(node: Node, findings: &mut Findings) -> (Position, Option<String>) {
    let text = match node.value {
        Value::Scalar(text, _) => Some(text),
        Value::Null | Value::List(_) | Value::Map(_) => {
            findings.fault(node.at, format!("found {} for a key, expected a name", node.found()));
            None
        }
    };
    (node.at, text)
}

fn insert(entries: &mut Vec<Entry>, entry: Entry, findings: &mut Findings) {
    match entries.iter().find(|earlier| earlier.key == entry.key) {
        Some(earlier) => {
            let message = format!("{} is written twice, first on line {}", quoted(&entry.key), earlier.at.line);
            findings.fault(entry.at, message);
        }
        None => entries.push(entry),
    }
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn syntax(error: &ScanError) -> Fault {
    let unquoted = error.info().contains("unknown anchor");
    let help = unquoted.then(|| "a text that begins with * needs quotes: \"*.example.com\"".to_owned());
    Fault { at: position(*error.marker()), message: format!("this is not YAML: {}", error.info()), help }
}

fn fault(at: Position, message: &str) -> Fault {
    Fault { at, message: message.to_owned(), help: None }
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
    fn a_key_written_twice_names_both_lines() {
        assert_eq!(faults("a: 1\nb: 2\na: 3\n"), "f:3:1: \"a\" is written twice, first on line 1");
    }

    #[test]
    fn what_an_alias_stands_for_is_read_where_it_was_written() {
        let mut findings = Findings::default();
        let node = Node::parse("a: &x [one]\nb: *x\n", &mut findings).unwrap();
        let Value::Map(entries) = node.value else { panic!("no map") };
        assert_eq!(entries[1].at.line, 2);
        assert_eq!(entries[1].value.at.line, 1);
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        assert!(faults(&"- ".repeat(100_000)).contains("nested too deeply"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let again = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{again}]\n"));
        }
        assert!(faults(&bomb).contains("too much"));
        assert!(faults("a: &a [*a]\n").contains("inside of what it stands for"));
    }

    #[test]
    fn odd_yaml_is_refused() {
        assert!(faults("a: 1\n---\nb: 2\n").contains("second document"));
        assert!(faults("[1, 2]: 3\n").contains("a list for a key"));
        assert!(faults("a: !thing 3\n").contains("tag"));
        assert!(faults("hosts: [*.example.com]\n").contains("needs quotes"));
    }
}
