//! What is wrong with a configuration, and where. Everything found is kept, so that one look at the list mends the file.

use std::fmt;

/// A place in the file, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// One mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    pub at: Position,
    /// What was found and what was expected.
    pub message: String,
    /// The mend, where one can be named.
    pub help: Option<String>,
}

/// All that keeps a text from being a configuration: never empty, in the order of the text. It prints one line per fault,
/// `file:line:column: message`, with the help on a line of its own below.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Errors {
    file: String,
    faults: Vec<Fault>,
}

/// Something that is allowed and probably not meant. It prints as `file:line:column: warning: message`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    pub file: String,
    pub at: Position,
    pub message: String,
}

/// Where faults and warnings are put while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    faults: Vec<Fault>,
    warnings: Vec<(Position, String)>,
}

impl Errors {
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(crate) fn one(file: &str, fault: Fault) -> Self {
        Self { file: file.to_owned(), faults: vec![fault] }
    }
}

impl Findings {
    pub(crate) fn fault(&mut self, at: Position, message: impl Into<String>) {
        self.faults.push(Fault { at, message: message.into(), help: None });
    }

    pub(crate) fn fault_with_help(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(Fault { at, message: message.into(), help: Some(help.into()) });
    }

    /// How many faults there are so far.
    pub(crate) fn faults(&self) -> usize {
        self.faults.len()
    }

    pub(crate) fn warning(&mut self, at: Position, message: impl Into<String>) {
        self.warnings.push((at, message.into()));
    }

    /// The warnings, if there is nothing worse.
    pub(crate) fn into_result(mut self, file: &str) -> Result<Vec<Warning>, Errors> {
        if !self.faults.is_empty() {
            self.faults.sort_by_key(|fault| fault.at);
            // What an alias stands for is read once for each use.
            self.faults.dedup();
            return Err(Errors { file: file.to_owned(), faults: self.faults });
        }
        self.warnings.sort();
        self.warnings.dedup();
        let warning = |(at, message)| Warning { file: file.to_owned(), at, message };
        Ok(self.warnings.into_iter().map(warning).collect())
    }
}

/// The one of `known` that `written` was probably meant to be.
pub(crate) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |name: &str| strsim::osa_distance(&written.to_lowercase(), name);
    let near = known.into_iter().map(|name| (distance(name), name)).min_by_key(|&(distance, _)| distance);
    near.filter(|&(distance, name)| distance <= (name.len().max(written.len()) / 3).max(1)).map(|(_, name)| name)
}

/// Names as a sentence has them: `a, b or c`.
pub(crate) fn any_of<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, fault) in self.faults.iter().enumerate() {
            let newline = if nth == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {}", self.file, fault.at, fault.message)?;
            if let Some(help) = &fault.help {
                write!(f, "\n  help: {help}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: warning: {}", self.file, self.at, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("weigth", ["weight", "state"]), Some("weight"));
        assert_eq!(nearest("Weight", ["weight", "state"]), Some("weight"));
        assert_eq!(nearest("colour", ["weight", "state"]), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn faults_are_told_in_the_order_of_the_text() {
        let mut findings = Findings::default();
        findings.fault(Position { line: 9, column: 1 }, "late");
        findings.fault_with_help(Position { line: 2, column: 3 }, "early", "mend it");
        let errors = findings.into_result("b.yaml").unwrap_err();
        assert_eq!(errors.to_string(), "b.yaml:2:3: early\n  help: mend it\nb.yaml:9:1: late");
    }
}
