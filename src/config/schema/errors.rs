//! What is wrong with a configuration, and where. All errors are collected, so that they can be fixed at once.

use std::fmt;

use super::path::{PathId, Paths};
use super::vocabulary::{ForeignWord, Found};

/// A position in the file. Both numbers start at 1; columns are in characters.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A position in the file, and the path of the field there.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Location {
    pub(crate) position: Position,
    pub(crate) path: PathId,
}

/// One error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    pub at: Position,
    /// The field, such as `upstreams.shop.servers[1].weight`; empty for the whole file.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
    /// How to fix it, if known.
    pub help: Option<String>,
}

/// All errors in a configuration, in the order of the text. Never empty. Prints one line per fault, `file:line:column:
/// path: message`, followed by a line with the help.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Errors {
    file: String,
    faults: Vec<Fault>,
}

/// Something that is allowed but probably not intended. Prints as `file:line:column: warning: path: message`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    pub file: String,
    pub at: Position,
    /// As in [`Fault`].
    pub path: String,
    pub message: String,
}

/// The message for a required field that is not there. The path names the field.
const MISSING_FIELD: &str = "missing field";

/// Collects faults and warnings while a configuration is read.
#[derive(Default)]
pub(crate) struct Findings {
    faults: Vec<Fault>,
    warnings: Vec<(Location, String)>,
    pub(crate) paths: Paths,
    foreign: ForeignWords,
}

/// Tables of foreign words. In them the first row that applies counts.
pub(crate) type ForeignWords = &'static [&'static [ForeignWord]];

impl Errors {
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(crate) fn one(file: &str, fault: Fault) -> Self {
        Self { file: file.to_owned(), faults: vec![fault] }
    }
}

impl Findings {
    pub(crate) fn with(foreign: ForeignWords) -> Self {
        Self { foreign, ..Self::default() }
    }

    /// Reports something other than what is expected here. The help is that of the foreign words, otherwise `help`.
    pub(crate) fn unexpected(&mut self, at: Location, found: Found<'_>, message: impl Into<String>, help: Option<String>) {
        let names = self.paths.names(at.path);
        let foreign = self.foreign.iter().copied().flatten().find_map(|word| word.help(&names, found));
        let path = self.paths.text(at.path);
        self.faults.push(Fault { at: at.position, path, message: message.into(), help: foreign.or(help) });
    }

    pub(crate) fn fault(&mut self, at: Location, message: impl Into<String>) {
        let path = self.paths.text(at.path);
        self.faults.push(Fault { at: at.position, path, message: message.into(), help: None });
    }

    pub(crate) fn fault_with_help(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        let path = self.paths.text(at.path);
        self.faults.push(Fault { at: at.position, path, message: message.into(), help: Some(help.into()) });
    }

    /// Reports that a map lacks a required field.
    pub(crate) fn missing(&mut self, map: Location, field: &str) {
        let at = self.missing_field(map, field);
        self.unexpected(at, Found::Nothing, MISSING_FIELD, None);
    }

    /// The location of a field that is missing in a map.
    pub(crate) fn missing_field(&mut self, map: Location, field: &str) -> Location {
        Location { path: self.paths.field(map.path, field), ..map }
    }

    /// The number of faults so far.
    pub(crate) fn faults(&self) -> usize {
        self.faults.len()
    }

    pub(crate) fn warning(&mut self, at: Location, message: impl Into<String>) {
        self.warnings.push((at, message.into()));
    }

    /// The warnings, or the errors if there are any.
    pub(crate) fn into_result(mut self, file: &str) -> Result<Vec<Warning>, Errors> {
        if !self.faults.is_empty() {
            self.faults.sort_by_key(|fault| fault.at);
            self.faults.dedup_by(|second, first| second.repeats(first));
            return Err(Errors { file: file.to_owned(), faults: self.faults });
        }
        self.warnings.sort();
        self.warnings.dedup_by(|second, first| (second.0.position, &second.1) == (first.0.position, &first.1));
        let warning = |(at, message): (Location, String)| Warning {
            file: file.to_owned(),
            at: at.position,
            path: self.paths.text(at.path),
            message,
        };
        Ok(self.warnings.into_iter().map(warning).collect())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Location {
    pub(crate) fn line(self) -> usize {
        self.position.line
    }
}

impl Fault {
    /// The value of an alias is read once for each use, each with its own path. A map may miss several fields.
    fn repeats(&self, other: &Self) -> bool {
        let missing =
            |fault: &Self| (fault.message == MISSING_FIELD).then(|| fault.path.rsplit('.').next().map(str::to_owned));
        (self.at, &self.message, &self.help, missing(self)) == (other.at, &other.message, &other.help, missing(other))
    }
}

/// The path and the message.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_path(&self.path, &self.message))
    }
}

fn with_path(path: &str, message: &str) -> String {
    if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, fault) in self.faults.iter().enumerate() {
            let newline = if nth == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {fault}", self.file, fault.at)?;
            if let Some(help) = &fault.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: warning: {}", self.file, self.at, with_path(&self.path, &self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_reported_in_the_order_of_the_text() {
        let mut findings = Findings::default();
        let at = |line, column| Location { position: Position { line, column }, path: PathId::default() };
        let late = findings.missing_field(at(9, 1), "keys");
        findings.fault(late, "late");
        findings.fault_with_help(at(2, 3), "early", "fix it");
        let errors = findings.into_result("b.yaml").unwrap_err();
        assert_eq!(errors.to_string(), "b.yaml:2:3: early\n  help: fix it\nb.yaml:9:1: keys: late");
    }
}
