//! Input and output of a `ctl` command: the API on one side, stdout on the other. It knows no command.

use std::io::Write;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{AskError, Client};
use crate::cli::outcome::Outcome;

/// The format of the output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    Text,
    Json,
}

/// What a command needs to run.
pub struct Console {
    pub client: Client,
    pub form: Form,
}

impl Console {
    /// Prints a response: as JSON, or as text by `layout`.
    pub fn print<T: DeserializeOwned>(&self, answer: Value, layout: impl FnOnce(T) -> String) -> Result<Outcome, AskError> {
        match self.form {
            Form::Json => print_out(&format!("{answer:#}\n")),
            Form::Text => print_out(&layout(read(answer)?)),
        }
        Ok(Outcome::Success)
    }
}

/// Converts a response to its type.
pub fn read<T: DeserializeOwned>(answer: Value) -> Result<T, AskError> {
    serde_json::from_value(answer).map_err(|error| AskError::Unexpected(error.to_string()))
}

/// Writes to stdout. Ignores errors: a reader such as `| head` may have closed the pipe.
pub fn print_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
