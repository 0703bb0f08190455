//! One line of the JSON access log.

use serde_json::Value;

#[derive(Clone, Debug)]
pub struct LogLine(Value);

impl LogLine {
    pub fn parse(line: &str) -> Self {
        Self(serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error} in {line:?}")))
    }

    /// A field's text, empty if it is absent or null.
    pub fn text(&self, field: &str) -> String {
        match self.0.get(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    pub fn number(&self, field: &str) -> f64 {
        self.0.get(field).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {field} in {}", self.0))
    }

    pub fn reason(&self) -> String {
        self.text("reason")
    }
}
